//! A program that measures exactly what it is told to, so that a test can know every number.
//!
//! Each `--interval` is recorded within one interval, between two readings of the instruments; when it
//! is told to stop, `--last` is recorded and leaves with the drain. It prints its session, which
//! reading each interval is in, and how the agent fares.

use std::{
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail, ensure};
use clap::Parser;
use undertone::{Agent, Consent, Ingest, Profile, Rhythm, Schema, Transport};

undertone::label! {
    /// How something ended.
    pub enum Outcome in "outcome" {
        /// Well.
        Ok = "ok",
        /// Not so well.
        Failed = "failed",
    }
}

undertone::instruments! {
    pub struct Metrics in "reporter" {
        /// Things there are.
        things: Counter,
        /// Things that are open.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10] },
        /// How loaded it is.
        load: Gauge<f64> { linkable },
        /// What happened.
        marks: Meter,
        /// How large things are.
        sizes: Histogram { unit: "B" },
        /// How long things took.
        latency: Timer<Outcome>,
        /// Which reading of the instruments this is, from 0. Read last: it ends a reading.
        reading: Gauge<i64> { linkable },
    }
}

/// Measures what it is told to and reports it.
#[derive(Parser)]
struct Arguments {
    /// What `undertone-ingest-proxy address` prints
    #[arg(long)]
    ingest: Option<Ingest>,
    /// Where Tor keeps its state
    #[arg(long, default_value = "reporter-data")]
    data_dir: PathBuf,
    /// arti's configuration
    #[arg(long)]
    tor_config: Option<PathBuf>,
    /// The SOCKS port of a tor that runs already, instead of Tor in this process
    #[arg(long, conflicts_with = "tor_config")]
    socks: Option<SocketAddr>,
    /// Keys for services that only their clients may find
    #[arg(long, conflicts_with = "socks")]
    client_keys: Option<PathBuf>,
    /// What is recorded in one interval, such as "inc 2, size -5, ok 1000"; may be repeated
    #[arg(long)]
    interval: Vec<Script>,
    /// What is recorded before it ends
    #[arg(long, default_value = "")]
    last: Script,
    /// Print the schema for the ingest proxy and exit
    #[arg(long)]
    schema: bool,
}

/// How often the instruments are read.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often parcels are cut; so often that a batch holds few intervals and none is merged.
const RHYTHM: Duration = Duration::from_millis(500);
/// How often this program looks whether something has changed.
const GLANCE: Duration = Duration::from_millis(10);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let schema = Schema::try_from(Metrics::DECLARATION)?.every(INTERVAL)?.exact();
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
    let transport = match arguments.socks {
        Some(address) => Transport::socks(address),
        None => Transport::embedded_with(tor),
    };
    let transport = match arguments.client_keys {
        Some(folder) => transport.with_client_keys(folder),
        None => transport,
    };
    let began = Instant::now();
    let agent = Agent::builder(arguments.ingest.context("--ingest says where to report")?)
        .schema(schema)
        .profile(Profile::Fleet(Rhythm::every(RHYTHM)))
        .consent(Consent::callback(|| true))
        .transport(transport)
        .data_dir(arguments.data_dir)
        .start()?;
    let metrics: Metrics = agent.instruments()?;
    let readings = Arc::new(AtomicI64::new(0));
    metrics.reading.read_with({
        let readings = Arc::clone(&readings);
        move || readings.fetch_add(1, Ordering::SeqCst)
    });
    let session = agent.session().context("the agent is off")?;
    println!("reporting as session {session}");

    let mut scripts = arguments.interval.iter();
    let (mut seen, mut state) = (0, None);
    while stopped.recv_timeout(GLANCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        if state != Some(agent.state()) {
            state = Some(agent.state());
            println!("state {:?}", agent.state());
        }
        let reading = readings.load(Ordering::SeqCst);
        if reading != seen {
            seen = reading;
            if let Some(script) = scripts.next() {
                script.record(&metrics);
                let same = readings.load(Ordering::SeqCst) == reading;
                ensure!(same, "this machine is too busy: recording took more than an interval");
                println!("recorded in reading {reading} after {} ms", began.elapsed().as_millis());
            }
        }
    }
    arguments.last.record(&metrics);
    println!("recorded in reading {} at the end", readings.load(Ordering::SeqCst));
    println!("{:?}", agent.statistics());
    agent.shutdown(Duration::from_secs(20)).wait();
    Ok(())
}

/// Things to record, separated by commas.
#[derive(Clone, Default)]
struct Script(Vec<Record>);

/// One thing to record.
#[derive(Clone, Copy)]
enum Record {
    /// `inc N`; without a number, 1
    Inc(i64),
    /// `dec N`
    Dec(i64),
    /// `clear`
    Clear,
    /// `open N`
    Open(i64),
    /// `load X`
    Load(f64),
    /// `mark N`
    Mark(i64),
    /// `size N`
    Size(i64),
    /// `ok N` or `failed N`, in nanoseconds
    Took(Outcome, Duration),
}

impl Script {
    fn record(&self, metrics: &Metrics) {
        for record in &self.0 {
            match *record {
                Record::Inc(1) => metrics.things.inc(),
                Record::Inc(n) => metrics.things.inc_by(n),
                Record::Dec(1) => metrics.things.dec(),
                Record::Dec(n) => metrics.things.dec_by(n),
                Record::Clear => metrics.things.clear(),
                Record::Open(n) => metrics.open.set(n),
                Record::Load(x) => metrics.load.set(x),
                Record::Mark(1) => metrics.marks.mark(),
                Record::Mark(n) => metrics.marks.mark_by(n),
                Record::Size(n) => metrics.sizes.update(n),
                Record::Took(outcome, duration) => metrics.latency.update(outcome, duration),
            }
        }
    }
}

impl FromStr for Script {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let records = text.split(',').map(str::trim).filter(|record| !record.is_empty());
        Ok(Self(records.map(str::parse).collect::<Result<_>>()?))
    }
}

impl FromStr for Record {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (what, number) = text.split_once(' ').unwrap_or((text, "1"));
        let nanoseconds = || Ok::<_, Error>(Duration::from_nanos(number.parse()?));
        Ok(match what {
            "inc" => Self::Inc(number.parse()?),
            "dec" => Self::Dec(number.parse()?),
            "clear" => Self::Clear,
            "open" => Self::Open(number.parse()?),
            "load" => Self::Load(number.parse()?),
            "mark" => Self::Mark(number.parse()?),
            "size" => Self::Size(number.parse()?),
            "ok" => Self::Took(Outcome::Ok, nanoseconds()?),
            "failed" => Self::Took(Outcome::Failed, nanoseconds()?),
            _ => bail!("nothing can be recorded by {what:?}"),
        })
    }
}
