//! A program with an agent in the profile `anonymous`, whose time runs fast: many sessions in a minute.
//!
//! It counts, and says when a session begins and when a silence does. All of its randomness is the system's.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use undertone::{Agent, Clock, Consent, Ingest, Scope, Transport};

undertone::instruments! {
    pub struct Metrics in "rotating" {
        /// Things there are.
        things: Counter,
    }
}

/// Reports under one session after another.
#[derive(Parser)]
struct Arguments {
    /// What `undertone-ingest-proxy address` prints
    #[arg(long)]
    ingest: Ingest,
    /// The SOCKS port of a tor; else Tor is in this process
    #[arg(long)]
    socks: Option<SocketAddr>,
    /// Where Tor in this process keeps its state
    #[arg(long, default_value = "rotating-data")]
    data_dir: PathBuf,
    /// arti's configuration
    #[arg(long)]
    tor_config: Option<PathBuf>,
    /// How long sessions last: a mean life, or `batch`
    #[arg(long)]
    scope: Scope,
    /// How much faster than real time
    #[arg(long)]
    faster: u32,
}

/// How often this program counts, and looks at its session.
const GLANCE: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;
    let tor = match &arguments.tor_config {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => String::new(),
    };
    let transport = match arguments.socks {
        Some(address) => Transport::socks(address),
        None => Transport::embedded_with(tor),
    };
    let agent = Agent::builder(arguments.ingest)
        .schema(Metrics::DECLARATION)
        .scope(arguments.scope)
        .consent(Consent::callback(|| true))
        .transport(transport)
        .data_dir(arguments.data_dir)
        .clock(Clock::accelerated(arguments.faster))
        .start()?;
    let metrics: Metrics = agent.instruments()?;
    let mut session = None;
    while stopped.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
        metrics.things.inc();
        if agent.session() != session {
            session = agent.session();
            match session {
                Some(id) => println!("session {id}"),
                None => println!("silence"),
            }
        }
    }
    agent.shutdown(Duration::from_secs(5)).wait();
    Ok(())
}
