//! The agent of the library, as this configuration wants it: an open schema in the profile `fleet`.

use anyhow::{Context, Result};
use undertone::{Agent, Consent, Ingest, Profile, Rhythm, Schema, Transport};

use crate::config::{self, AgentConfig};

/// Starts an agent that reports to `ingest`. Returns at once.
pub(crate) fn start(config: &AgentConfig, ingest: &Ingest) -> Result<Agent> {
    Agent::builder(ingest.clone())
        .schema(schema(&config.namespace)?)
        .profile(profile(config))
        // Whoever calls this has the answer already.
        .consent(Consent::callback(|| true))
        .transport(transport(config))
        .data_dir(&config.data_dir)
        .ledger(config.ledger)
        .start()
        .context("start the agent")
}

/// The rhythm of one's own machines.
pub(crate) fn profile(config: &AgentConfig) -> Profile {
    Profile::Fleet(Rhythm::every(config.push_every))
}

/// What the proxy must admit.
pub(crate) fn schema(namespace: &str) -> Result<Schema> {
    Ok(Schema::open(namespace)?)
}

/// How the library reaches the ingest side.
pub(crate) fn transport(config: &AgentConfig) -> Transport {
    let transport = match &config.transport {
        config::Transport::Embedded(tor) => Transport::embedded_with(tor),
        config::Transport::Socks(address) => Transport::socks(*address),
    };
    match &config.client_keys {
        Some(folder) => transport.with_client_keys(folder),
        None => transport,
    }
}
