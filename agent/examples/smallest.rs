//! The smallest program that is measured: it counts the lines that it reads, and reports through Tor.
//!
//! Without an argument it prints its schema, for `undertone-ingest-proxy schema add /dev/stdin`. Its argument
//! is what `undertone-ingest-proxy address` prints. In the profile `anonymous`, which is the default, a
//! report leaves every three minutes or so, after a silence of up to an hour, and what has not left at
//! the program's end is gone. To see something sooner on a private Tor network, a second argument
//! names a file with arti's configuration for it; the program then reports every second.

use std::{env, error::Error, fs, io, time::Duration};

use undertone::{Agent, Consent, Profile, Rhythm, Schema, Transport};

undertone::instruments! {
    pub struct Metrics in "smallest" {
        /// Lines read.
        lines: Counter,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let schema = Schema::try_from(Metrics::DECLARATION)?.every(Duration::from_secs(1))?;
    let Some(ingest) = env::args().nth(1) else {
        print!("{}", schema.to_toml());
        return Ok(());
    };
    let mut agent = Agent::builder(ingest.parse()?)
        .schema(schema)
        .data_dir("telemetry")
        .consent(Consent::file("telemetry-consent")); // reports if it says `granted`
    if let Some(tor) = env::args().nth(2) {
        agent = agent
            .transport(Transport::embedded_with(fs::read_to_string(tor)?))
            .profile(Profile::Fleet(Rhythm::every(Duration::from_secs(1))));
    }
    let agent = agent.start()?;
    let metrics: Metrics = agent.instruments()?;
    for line in io::stdin().lines() {
        line?;
        metrics.lines.inc();
    }
    agent.shutdown(Duration::from_secs(30)).wait();
    Ok(())
}
