//! `undertone-abuse`: attacks on a real proxy, one after another, with honest sessions beside; the table of `docs/abuse.md`.
//!
//! The exit code is 1 if a row is past a threshold or an answer wasn't what it has to be.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use undertone_tests::{
    abuse::{Arena, Attack, Row},
    janitor,
};

/// Attacks a proxy and prints what became of it.
#[derive(Parser)]
struct Arguments {
    /// How long each attack is, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Streams of the slow attacks
    #[arg(long, default_value_t = 10_000)]
    streams: u32,
}

fn main() -> Result<ExitCode> {
    let well = run(&Arguments::parse());
    janitor::dismiss()?;
    Ok(if well? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(arguments: &Arguments) -> Result<bool> {
    raise_files_limit()?;
    let time = Duration::from_secs(arguments.seconds);
    let streams = arguments.streams;
    let mut arena = Arena::start("")?;
    println!("{}", Row::HEAD);
    let mut well = true;
    for attack in [
        Attack::Nobody,
        Attack::Routes,
        Attack::Smuggling,
        Attack::Lengths,
        Attack::Bombs,
        Attack::Forgeries,
        Attack::Evasions,
        Attack::Idle(streams),
        Attack::SlowHeads(streams),
        Attack::SlowBodies(streams),
    ] {
        let row = arena.suffer(attack, time)?;
        println!("{}", row.markdown());
        for failure in &row.failures {
            well = false;
            println!("FAILURE: {}: {failure}", row.attack);
        }
    }
    arena.stop()?;
    Ok(well)
}

/// Attackers have their ends of all streams in this process.
fn raise_files_limit() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
