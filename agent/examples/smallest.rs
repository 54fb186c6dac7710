//! The smallest program that is measured: it counts the lines that it reads, and reports through Tor.
//!
//! Without an argument it prints its schema, for `undertone-ingest-proxy schema add /dev/stdin`. Its argument
//! is what `undertone-ingest-proxy address` prints; a second one is a file with arti's configuration,
//! for another Tor network than the public one.
//!
//! In the profile `anonymous`, which is the default, a report leaves every three minutes or so, and what
//! has not left at the program's end is gone.

use std::{env, error::Error, fs, io, time::Duration};

use undertone::{Agent, Consent, Schema, Transport};

undertone::instruments! {
    pub struct Metrics in "smallest" {
        /// Lines read.
        lines: Counter,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(ingest) = env::args().nth(1) else {
        print!("{}", Schema::try_from(Metrics::DECLARATION)?.to_toml());
        return Ok(());
    };
    let tor = env::args().nth(2).map_or(Ok(String::new()), fs::read_to_string)?;
    let agent = Agent::builder(ingest.parse()?)
        .schema(Metrics::DECLARATION)
        .data_dir("telemetry")
        .consent(Consent::file("telemetry-consent")) // reports if it says `granted`
        .transport(Transport::embedded_with(tor))
        .start()?;
    let metrics: Metrics = agent.instruments()?;
    for line in io::stdin().lines() {
        line?;
        metrics.lines.inc();
    }
    agent.shutdown(Duration::from_secs(5)).wait();
    Ok(())
}
