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
    /// Crowds of up to so many agents, too: 1,000 or 10,000
    #[arg(long, value_name = "AGENTS")]
    largest: Option<u32>,
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
    [Size { agents: 100, days: 28.0, seed: 11 }, Size { agents: 300, days: 7.2, seed: 12 }];
/// Crowds of longer runs beside them.
const LARGER: [Size; 2] =
    [Size { agents: 1_000, days: 3.0, seed: 13 }, Size { agents: 10_000, days: 1.25, seed: 14 }];
/// Crowds of machines that never stop, of which sessions are drawn and no program runs.
const DESIGN: [Size; 4] = [
    Size { agents: 46, days: 120.0, seed: 21 },
    Size { agents: 100, days: 60.0, seed: 22 },
    Size { agents: 300, days: 20.0, seed: 23 },
    Size { agents: 1_000, days: 6.0, seed: 24 },
];
/// So many days a crowd gathers, and nothing is asked; these aren't shortened.
const GATHERING: f64 = 0.75;
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
    let largest = arguments.largest.unwrap_or(if arguments.full { u32::MAX } else { 0 });
    let shorter = |size: &Size| {
        let days = GATHERING + (size.days - GATHERING) * arguments.days;
        Size { days, ..size.clone() }
    };
    let mut findings =
        Findings { full: arguments.full, length: arguments.days, ..Findings::default() };
    for size in &DESIGN {
        told(&format!("{} machines that never stop, seed {}", size.agents, size.seed));
        findings.design.push(measure::design(size)?);
    }
    for (place, size) in QUICK.iter().map(shorter).enumerate() {
        told(&format!("{} agents for {:.1} days, seed {}", size.agents, size.days, size.seed));
        let leaks: &[Leak] = if place == 0 { &Leak::ALL } else { &[] };
        let crowd = measure::crowd(&size, leaks, threads)?;
        told("attacks without values");
        findings.metadata.push(measure::metadata(&size, &crowd)?);
        if place == 0 {
            told("controls");
            findings.controls = measure::controls(&size, &crowd, leaks, threads);
        }
    }
    let size = shorter(&VALUES);
    for (program, all) in [(Program::Browser, true), (Program::FileServer, arguments.full)] {
        told(&format!("{} agents by their values, seed {}", VALUES.agents, VALUES.seed));
        findings.values.extend(measure::values(&size, program, all, threads)?);
    }
    findings.value_size = Some(size);
    findings.left_out = LARGER.map(|size| size.agents).into();
    write(&findings, arguments)?;
    for size in LARGER.iter().map(shorter).filter(|size| size.agents <= largest) {
        told(&format!("{} agents for {:.1} days, seed {}", size.agents, size.days, size.seed));
        let crowd = measure::crowd(&size, &[], threads)?;
        findings.metadata.push(measure::metadata(&size, &crowd)?);
        findings.left_out.retain(|agents| *agents != size.agents);
        write(&findings, arguments)?;
    }
    told("done");
    writeln!(io::stdout().lock(), "{findings}")?;
    Ok(findings.faults())
}

/// Writes what was found so far: a crowd may take long.
fn write(findings: &Findings, arguments: &Arguments) -> io::Result<()> {
    arguments.document.as_ref().map_or(Ok(()), |path| fs::write(path, findings.to_string()))
}
