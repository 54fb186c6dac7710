//! A program with an agent in it, for `make bench`: it says when the first parcel was taken, and how long
//! those took that were sent one after another.
//!
//! Parcels are cut often and sent seldom, so that many wait: in the profile `fleet` they then follow each
//! other without a pause, and the time between two that were taken is that of a push. With
//! `--off` there is no consent, hence no agent, and the rest is the same.

use std::{
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;
use undertone::{Agent, Consent, Ingest, Profile, Rhythm, Schema, Transport};

undertone::instruments! {
    pub struct Metrics in "bench" {
        /// Things there are.
        things: Counter,
        /// How long things took.
        latency: Timer,
    }
}

/// Reports, and says how long it takes.
#[derive(Parser)]
struct Arguments {
    /// What `undertone-ingest-proxy address` prints
    #[arg(long)]
    ingest: Option<Ingest>,
    /// Where Tor keeps its state
    #[arg(long, default_value = "bench-agent-data")]
    data_dir: PathBuf,
    /// arti's configuration
    #[arg(long)]
    tor_config: Option<PathBuf>,
    /// Mean time between two cuts
    #[arg(long, default_value = "200")]
    cut_milliseconds: u64,
    /// Time between two slots
    #[arg(long, default_value = "10000")]
    slot_milliseconds: u64,
    /// Without consent
    #[arg(long)]
    off: bool,
    /// Print the schema for the ingest proxy and exit
    #[arg(long)]
    schema: bool,
}

/// How often this program looks whether a push was taken.
const GLANCE: Duration = Duration::from_micros(500);

fn main() -> Result<()> {
    let began = Instant::now();
    let arguments = Arguments::parse();
    // In a fleet a batch is sealed only if something was read.
    let schema = Schema::try_from(Metrics::DECLARATION)?.every(Duration::from_secs(1))?.exact();
    if arguments.schema {
        print!("{}", schema.to_toml());
        return Ok(());
    }
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;
    let tor = match &arguments.tor_config {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => String::new(),
    };
    let off = arguments.off;
    let slot = Duration::from_millis(arguments.slot_milliseconds);
    let rhythm = Rhythm {
        cut_mean: Duration::from_millis(arguments.cut_milliseconds),
        // Far beyond the limit, which is then what nearly always comes.
        slot_mean: slot * 100,
        slot_limit: slot,
    };
    let agent = Agent::builder(arguments.ingest.context("--ingest says where to report")?)
        .schema(schema)
        .profile(Profile::Fleet(rhythm))
        .consent(Consent::callback(move || !off))
        .transport(Transport::embedded_with(tor))
        .data_dir(arguments.data_dir)
        .start()?;
    let metrics: Metrics = agent.instruments()?;
    println!("started");

    let mut pushes = Pushes::default();
    while stopped.recv_timeout(GLANCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        metrics.things.inc();
        metrics.latency.update(began.elapsed());
        let statistics = agent.statistics();
        pushes.seen(statistics.parcels_sent, statistics.parcels_waiting, began.elapsed());
    }
    Ok(())
}

/// Pushes that were taken.
#[derive(Default)]
struct Pushes {
    taken: u64,
    /// When the last one was taken, if the next one followed at once.
    last: Option<Duration>,
    microseconds: Vec<u128>,
}

impl Pushes {
    fn seen(&mut self, taken: u64, waiting: usize, now: Duration) {
        if taken == self.taken {
            return;
        }
        if self.taken == 0 {
            println!("first push taken after {} ms", now.as_millis());
        }
        let new = taken - self.taken;
        if let Some(last) = self.last {
            let each = (now - last).as_micros() / u128::from(new);
            self.microseconds.extend((0..new).map(|_| each));
        }
        self.taken = taken;
        self.last = (waiting > 0).then_some(now);
        if waiting == 0 {
            self.tell();
        }
    }

    /// One line a row of pushes: how many, the median, and all together.
    fn tell(&mut self) {
        self.microseconds.sort_unstable();
        if let Some(median) = self.microseconds.get(self.microseconds.len() / 2) {
            let all: u128 = self.microseconds.iter().sum();
            println!("row of {} pushes: median {median} us, all {all} us", self.microseconds.len());
        }
        self.microseconds.clear();
    }
}
