//! The parts of `make bench` that one process measures without Tor.
//!
//! Each command prints one JSON object a comparison on standard output, which `undertone-bench` makes a
//! table of, and what it is doing on standard error. Peers that aren't Rust, or are servers, are
//! started by others and named on the command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod admission;
mod batch;
mod calls;
mod commits;
mod http;
mod lines;
mod listener;
mod measure;
mod parcels;
mod peer;
mod recorder;

/// Measures in this process.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// A call of each instrument
    Instruments {
        /// The Go program that measures go-metrics
        #[arg(long)]
        go: Option<PathBuf>,
    },
    /// Line protocol, parsed and written
    Lines {
        /// The Go program that measures InfluxDB's parser
        #[arg(long)]
        go: Option<PathBuf>,
    },
    /// The agent's local listener
    Listener(listener::Peers),
    /// Parcels, sealed and unsealed
    Parcels,
    /// Parcels admitted by a proxy that listens on a unix socket
    Admission(admission::Servers),
    /// The schema that the proxy of `admission` must know
    Schema,
}

fn main() -> Result<()> {
    match Arguments::parse().part {
        Part::Instruments { go } => calls::measure(go.as_deref()),
        Part::Lines { go } => lines::measure(go.as_deref()),
        Part::Listener(peers) => listener::measure(&peers),
        Part::Parcels => parcels::measure(),
        Part::Admission(servers) => admission::measure(&servers),
        Part::Schema => {
            print!("{}", batch::SCHEMA);
            Ok(())
        }
    }
}
