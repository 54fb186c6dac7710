//! `make crash`: kills, full and broken disks, and lost power at each step of a parcel's way.

use std::{
    collections::hash_map::RandomState, hash::BuildHasher, process::ExitCode, time::Instant,
};

use anyhow::Result;
use clap::Parser;
use undertone_tests::{
    crash::{fault::Fault, situation::Situation, suite::Plan},
    janitor,
};

/// Strikes at each step at which a proxy changes a file, and holds what is there against what was answered.
#[derive(Parser)]
struct Arguments {
    /// Situations whose name begins with this; all without it
    #[arg(long, default_value = "")]
    situation: String,
    /// What strikes: `kill`, `errors`, `power`; all without it
    #[arg(long, value_parser = ["kill", "errors", "power"])]
    strike: Option<String>,
    /// So many of each situation's steps, instead of all
    #[arg(long)]
    sample: Option<usize>,
    /// What samples are drawn by and sectors are torn by
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs at once
    #[arg(long, default_value_t = 3)]
    at_once: usize,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    println!("seed {seed}");
    let begun = Instant::now();
    let mut plan = Plan { sample: arguments.sample, at_once: arguments.at_once, ..Plan::all(seed) };
    plan.situations
        .retain(|situation: &Situation| situation.name().starts_with(&arguments.situation));
    if let Some(strike) = arguments.strike.as_deref() {
        plan.power = strike == "power";
        plan.faults.retain(|fault| match strike {
            "kill" => *fault == Fault::Kill,
            "errors" => *fault != Fault::Kill,
            _ => false,
        });
    }
    let table = plan.run(|progress| eprintln!("{progress}"))?;
    println!("\n{table}");
    println!("{} hits in {} s", table.hits(), begun.elapsed().as_secs());
    for failure in table.failures() {
        println!("FAILED {failure}\n");
    }
    println!("{} failures", table.failures().len());
    janitor::dismiss()?;
    Ok(if table.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
