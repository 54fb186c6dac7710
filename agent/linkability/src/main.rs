//! `make privacy`: how well sessions can be paired, in one run, with its limits.

mod document;

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use document::Findings;
use undertone_linkability::{
    leak::Leak,
    measure::{self, Size},
    workload::Program,
};

/// Measures how well sessions of one agent can be told from others'. Exits with 1 if a figure is over its limit,
/// or a leak that was put in was not found.
#[derive(Debug, Parser)]
#[command(name = "undertone-linkability", version)]
struct Arguments {
    /// Crowds of 1,000 and 10,000, too, and all settings of both programs
    #[arg(long)]
    full: bool,
    /// On how many threads
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Shorter by so much: quicker, and less sure; for trying things out
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    days: f64,
    /// Write what was found into this file
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

/// Crowds of the quick run; the days are chosen for a standard error of a fifth of a point.
const QUICK: [Size; 2] =
    [Size { agents: 100, days: 26.0, seed: 11 }, Size { agents: 300, days: 7.0, seed: 12 }];
/// Crowds of the full run beside them.
const FULL: [Size; 2] =
    [Size { agents: 1_000, days: 3.0, seed: 13 }, Size { agents: 10_000, days: 1.25, seed: 14 }];
/// Crowds of machines that never stop, of which sessions are drawn and no program runs.
const DESIGN: [Size; 4] = [
    Size { agents: 46, days: 120.0, seed: 21 },
    Size { agents: 100, days: 60.0, seed: 22 },
    Size { agents: 300, days: 20.0, seed: 23 },
    Size { agents: 1_000, days: 6.0, seed: 24 },
];
/// Crowds for values.
const VALUES: Size = Size { agents: 80, days: 3.0, seed: 31 };

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            for fault in faults {
                let _ = writeln!(io::stderr(), "over its limit: {fault}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "undertone-linkability: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let (begun, threads) = (Instant::now(), arguments.threads);
    let told = |what: &str| {
        let _ = writeln!(io::stderr(), "{:>5} s  {what}", begun.elapsed().as_secs());
    };
    let mut findings = Findings { full: arguments.full, ..Findings::default() };
    for size in &DESIGN {
        told(&format!("{} machines that never stop, seed {}", size.agents, size.seed));
        findings.design.push(measure::design(size)?);
    }
    let sizes = QUICK.iter().chain(arguments.full.then_some(&FULL).into_iter().flatten());
    for (place, size) in sizes.enumerate() {
        let size = &Size { days: 0.75 + (size.days - 0.75) * arguments.days, ..size.clone() };
        told(&format!("{} agents for {:.1} days, seed {}", size.agents, size.days, size.seed));
        let leaks: &[Leak] = if place == 0 { &Leak::ALL } else { &[] };
        let crowd = measure::crowd(size, leaks, threads)?;
        told("attacks without values");
        findings.metadata.push(measure::metadata(size, &crowd)?);
        if place == 0 {
            told("controls");
            findings.controls = measure::controls(size, &crowd, leaks, threads);
        }
    }
    let size = Size { days: 0.75 + (VALUES.days - 0.75) * arguments.days, ..VALUES };
    for (program, all) in [(Program::Browser, true), (Program::FileServer, arguments.full)] {
        told(&format!("{} agents by their values, seed {}", VALUES.agents, VALUES.seed));
        findings.values.extend(measure::values(&size, program, all, threads)?);
    }
    told("done");
    findings.value_size = Some(size);
    let text = findings.to_string();
    writeln!(io::stdout().lock(), "{text}")?;
    if let Some(path) = &arguments.document {
        fs::write(path, &text)?;
    }
    Ok(findings.faults())
}
