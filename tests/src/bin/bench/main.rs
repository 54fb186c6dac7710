//! `make bench`: measures parts beside their peers, and makes one table of ratios.
//!
//! This program only starts things, watches them from outside and counts: what is measured are programs
//! of the release profile, named by `UNDERTONE_PROGRAMS` and on the command line.

mod comparison;
mod machine;
mod memory;
mod processes;
mod pushes;
mod table;
mod texts;
mod tor;

use std::{io::Write, path::PathBuf, time::Instant};

use anyhow::{Result, bail};
use clap::Parser;
use undertone_tests::janitor;

use comparison::Comparison;

/// Measures parts of the project beside their peers.
#[derive(Parser)]
struct Arguments {
    /// Measure this part alone, and write no document
    #[arg(long)]
    part: Option<String>,
    /// The program `undertone-benches`
    #[arg(long)]
    benches: PathBuf,
    /// The Go program `bench-peers`
    #[arg(long)]
    go: Option<PathBuf>,
    /// Telegraf
    #[arg(long)]
    telegraf: Option<PathBuf>,
    /// Where the document goes
    #[arg(long)]
    document: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let known: Vec<_> = texts::PARTS.iter().map(|part| part.name).collect();
    let parts: Vec<_> = match arguments.part.as_deref() {
        None => known,
        Some(part) if known.contains(&part) => vec![part],
        Some(part) => bail!("there is no part {part:?}; there are {}", known.join(", ")),
    };
    let measured = measure(&arguments, &parts);
    // Also after a failure: everything that was started is gone.
    janitor::dismiss()?;
    measured
}

fn measure(arguments: &Arguments, parts: &[&str]) -> Result<()> {
    let machine = machine::describe();
    let began = Instant::now();
    let mut comparisons = Vec::new();
    // Both need the same programs on the same Tor network.
    let mut tor = None;
    for part in parts {
        say(&format!("{part} ({} s so far)", began.elapsed().as_secs()));
        let measured = match *part {
            "instruments" | "lines" => processes::with_go(arguments, part)?,
            "listener" => processes::listener(arguments)?,
            "admission" => processes::admission(arguments)?,
            "pushes" => pushes::measure(tor::Tor::get(&mut tor)?)?,
            "memory" => memory::measure(tor::Tor::get(&mut tor)?)?,
            part => processes::alone(arguments, part)?,
        };
        print!("{}", table::plain(&measured));
        std::io::stdout().flush()?;
        comparisons.extend(measured);
    }
    drop(tor);
    say(&format!("measured in {} s", began.elapsed().as_secs()));
    if arguments.part.is_none() {
        std::fs::write(&arguments.document, table::document(&machine, &comparisons))?;
        say(&format!("written to {}", arguments.document.display()));
        println!("\n{}", table::plain(&comparisons));
    }
    Ok(())
}

/// Progress, for who waits.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

/// What `undertone-benches` printed.
pub(crate) fn comparisons(printed: &str) -> Result<Vec<Comparison>> {
    printed.lines().map(Comparison::parse).collect()
}
