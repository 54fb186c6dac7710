//! The real agent under simulated time with a fixed workload: what it sends follows from its seed.
//!
//! It also says what the machine looks like to it, so that a test sees that two runs had different
//! ones.

use std::{env, fs, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use undertone::{Agent, Clock, Consent, Ingest, Transport};

undertone::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" {
        /// It was answered.
        Ok = "ok",
        /// It was not.
        Failed = "failed",
    }
}

undertone::instruments! {
    pub struct Metrics in "work" {
        /// Requests.
        requests: Counter,
        /// Requests by outcome.
        outcomes: Counter<Outcome>,
        /// Files open now.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10] },
        /// Load of the machine.
        load: Gauge<f64> { buckets: [0, 0.5, 1, 2] },
        /// Bytes sent.
        egress: Meter,
        /// Sizes of the files that were sent.
        size: Histogram { unit: "B" },
        /// Time to answer.
        latency: Timer<Outcome>,
    }
}

/// Sends through SOCKS what a fixed workload gives.
#[derive(Parser)]
struct Arguments {
    /// Where the SOCKS server listens
    #[arg(long)]
    socks: SocketAddr,
    /// Where to report
    #[arg(long)]
    ingest: Ingest,
    /// What all randomness follows from
    #[arg(long)]
    seed: u64,
    /// Simulated hours
    #[arg(long, default_value_t = 12)]
    hours: u64,
}

const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tell_surroundings()?;
    let (clock, hands) = Clock::simulated(arguments.seed);
    let agent = Agent::builder(arguments.ingest)
        .schema(Metrics::DECLARATION)
        .consent(Consent::callback(|| true))
        .transport(Transport::socks(arguments.socks))
        .data_dir("noninterfering-data")
        .clock(clock)
        .start()?;
    let metrics: Metrics = agent.instruments()?;
    for minute in 0..arguments.hours * 60 {
        work(&metrics, minute);
        hands.advance(MINUTE);
    }
    println!("sent {}", agent.statistics().parcels_sent);
    Ok(())
}

/// What is done in this minute; a third of the hours are idle.
fn work(metrics: &Metrics, minute: u64) {
    if minute / 60 % 3 == 2 {
        return;
    }
    for step in 0..minute % 40 {
        let number = (minute * 31 + step * 7) % 1_009;
        let outcome = if number.is_multiple_of(5) { Outcome::Failed } else { Outcome::Ok };
        metrics.requests.inc();
        metrics.outcomes.inc(outcome);
        metrics.open.set((number % 12) as i64);
        metrics.load.set(number as f64 / 400.0);
        metrics.egress.mark_by(number as i64);
        metrics.size.update((number * number) as i64);
        metrics.latency.update(outcome, Duration::from_micros(number * 997));
    }
}

/// One line each, `here NAME VALUE`.
fn tell_surroundings() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    println!("here umask {}", umask.context("no Umask")?.trim());
    println!("here pid {}", std::process::id());
    println!("here hostname {}", fs::read_to_string("/proc/sys/kernel/hostname")?.trim());
    println!("here folder {}", env::current_dir()?.display());
    let days = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs() / (24 * 3_600);
    println!("here day {days}");
    for name in ["USER", "LOGNAME", "HOME", "TZ", "LANG", "LC_ALL", "PATH"] {
        println!("here {name} {}", env::var(name).unwrap_or_default());
    }
    Ok(())
}
