//! `undertone-flood`: who is still heard under a flood of sessions; the table of `docs/admission.md`.
//!
//! For each number of hostile circuits a proxy of its own, behind a unix socket and without Tor. The exit
//! code is 1 if known sessions lost more than one parcel in a hundred, the store got more sessions than there were places, or the
//! proxy grew by more than 64 MiB.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use undertone_tests::{
    flood::{self, Plan},
    janitor,
};

/// What known sessions keep at least, and how much the proxy may grow.
const LEAST_KEPT: f64 = 0.99;
const MOST_BYTES: u64 = 64 << 20;

/// Measures who is still heard under a flood of sessions.
#[derive(Parser)]
struct Arguments {
    /// Hostile circuits held at once, each number a run
    #[arg(default_values_t = [0, 1, 10, 100])]
    hostile: Vec<u64>,
    /// Known sessions
    #[arg(long, default_value_t = 20)]
    established: u64,
    /// Honest sessions that come during the flood
    #[arg(long, default_value_t = 20)]
    newcomers: u64,
    /// New sessions that get a place in an hour
    #[arg(long, default_value_t = 300)]
    places: u64,
    /// How long each run is: minutes in the field, seconds here
    #[arg(long, default_value_t = 75)]
    minutes: u64,
}

fn main() -> Result<ExitCode> {
    let well = run(Arguments::parse());
    janitor::dismiss()?;
    Ok(if well? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the table; whether all is within the limits.
fn run(arguments: Arguments) -> Result<bool> {
    let Arguments { hostile, established, newcomers, places, minutes } = arguments;
    println!(
        "| Hostile circuits | requests/s | hostile sessions stored | known sessions: parcels stored \
         | new ones: stored at all | waited, median and most (min) | memory over idle |\n\
         |---|---|---|---|---|---|---|"
    );
    let mut well = true;
    for hostile in hostile {
        let figures = flood::measure(Plan { hostile, established, newcomers, places, minutes })?;
        let waited = &figures.waited_minutes;
        let median = waited.get(waited.len() / 2).copied().unwrap_or(f64::NAN);
        let grown = figures.peak_bytes.saturating_sub(figures.idle_bytes);
        println!(
            "| {hostile} | {} | {} (at most {}) | {} of {} ({:.1} %) | {} of {newcomers} | {median:.1}, {:.1} \
             | {:.1} MiB |",
            (figures.offered as f64 / figures.seconds) as u64,
            figures.admitted,
            figures.ceiling,
            figures.established.stored,
            figures.established.taken,
            figures.established.share() * 100.0,
            waited.len(),
            waited.last().copied().unwrap_or(f64::NAN),
            grown as f64 / f64::from(1 << 20),
        );
        well &= figures.established.share() >= LEAST_KEPT
            && figures.admitted <= figures.ceiling
            && grown <= MOST_BYTES;
    }
    Ok(well)
}
