//! The agent of the library, as this configuration wants it: an open schema in the profile `fleet`.

use std::time::Duration;

use anyhow::{Context, Result};
use undertone::{Agent, Consent, Ingest, Profile, Rhythm, Schema, Transport};

use crate::config::{self, AgentConfig};

/// Starts an agent that reports to `ingest`. Returns at once.
pub(crate) fn start(config: &AgentConfig, ingest: &Ingest) -> Result<Agent> {
    Agent::builder(ingest.clone())
        .schema(schema(&config.namespace)?)
        .profile(Profile::Fleet(Rhythm::every(config.push_every)))
        // Whoever calls this has the answer already.
        .consent(Consent::callback(|| true))
        .transport(transport(config))
        .data_dir(&config.data_dir)
        .ledger(config.ledger)
        .start()
        .context("start the agent")
}

/// What the proxy must admit.
pub(crate) fn schema(namespace: &str) -> Result<Schema> {
    Ok(Schema::open(namespace)?)
}

/// How the library reaches the ingest side.
pub(crate) fn transport(config: &AgentConfig) -> Transport {
    match &config.transport {
        config::Transport::Embedded(tor) => Transport::embedded_with(tor),
        config::Transport::Socks(address) => Transport::socks(*address),
    }
}

/// Mean time between two slots, as `Rhythm::every` has it: three quarters of that between two batches,
/// of which the limit at three times as much cuts off the tail.
pub(crate) fn slot_mean(push_every: Duration) -> Duration {
    let rhythm = Rhythm::every(push_every);
    let limit = rhythm.slot_limit.as_secs_f64() / rhythm.slot_mean.as_secs_f64();
    rhythm.slot_mean.mul_f64(1.0 - (-limit).exp())
}
