//! A host program as the scenarios need it: it links the agent, counts hard, and says in lines what
//! they measure.
//!
//! Each line is a word and what it tells: `session`, `state`, `pushes`, `memory`, `counted`,
//! `shutdown`, `threads`. Whatever happens to telemetry, it ends with 0.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tokio::runtime::Builder;
use undertone::{
    Agent, Consent, Ingest, OffReason, Profile, Rhythm, Schema, State, Statistics, Transport,
};
use undertone_tests::wait;

undertone::label! {
    /// How a round went.
    pub enum Outcome in "outcome" {
        /// An even one.
        Even = "even",
        /// An odd one.
        Odd = "odd",
    }
}

undertone::instruments! {
    pub struct Metrics in "host" {
        /// Rounds of work.
        rounds: Counter,
        /// The round's last digit.
        digit: Gauge<i64> { buckets: [0, 1, 2, 5] },
        /// Rounds as a rate.
        pace: Meter,
        /// Sizes of what is worked on.
        size: Histogram { unit: "B" },
        /// Time that a round takes.
        latency: Timer<Outcome>,
    }
}

/// Counts hard and reports, and tells how it fares.
#[derive(Parser)]
struct Arguments {
    /// Tor in this process, with this configuration of arti
    #[arg(long, conflicts_with = "socks")]
    tor_config: Option<PathBuf>,
    /// The SOCKS port of a tor
    #[arg(long)]
    socks: Option<SocketAddr>,
    /// Where to report
    #[arg(long, required_unless_present = "schema")]
    ingest: Option<Ingest>,
    /// Where Tor keeps its state
    #[arg(long, default_value = "host-data")]
    data_dir: PathBuf,
    /// The user has not agreed
    #[arg(long)]
    without_consent: bool,
    /// Run inside a tokio runtime of the program's own
    #[arg(long)]
    tokio: bool,
    /// When to install a rustls provider for the whole process
    #[arg(long)]
    provider: Option<Provider>,
    /// Return from `main` right after the start
    #[arg(long)]
    exit_at_once: bool,
    /// A gauge that is asked for its value, and never answers
    #[arg(long)]
    stuck_gauge: bool,
    /// Seconds between two cuts, on average
    #[arg(long, default_value_t = 0.2)]
    rhythm: f64,
    /// Go on until so many parcels were sent
    #[arg(long)]
    until_sent: Option<u64>,
    /// Go on until so many pushes failed, or parcels were refused
    #[arg(long)]
    until_failed: Option<u64>,
    /// Go on for so many seconds
    #[arg(long = "for")]
    seconds: Option<f64>,
    /// How many seconds the shutdown may take
    #[arg(long, default_value_t = 5.0)]
    shutdown_limit: f64,
    /// Print the schema for the ingest proxy and exit
    #[arg(long)]
    schema: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Before,
    After,
}

/// How often the instruments are read.
const INTERVAL: Duration = Duration::from_secs(1);
/// Rounds that are counted at one go, and the pause after them, which leaves the machine to others.
const BURST: u64 = 10_000;
const PAUSE: Duration = Duration::from_millis(20);
/// The most rounds: five million recordings.
const ROUNDS_LIMIT: u64 = 1_000_000;
/// As long as this, a program that was asked to go on until something happens does so.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.schema {
        print!("{}", schema()?.to_toml());
        return Ok(());
    }
    if arguments.provider == Some(Provider::Before) {
        install_provider();
    }
    if arguments.tokio {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(inside_tokio(&arguments))?;
        // Its threads are the program's, and are not counted with what the agent leaves.
        drop(runtime);
    } else {
        without_tokio(&arguments)?;
    }
    if !arguments.exit_at_once {
        tell_threads()?;
    }
    Ok(())
}

fn without_tokio(arguments: &Arguments) -> Result<()> {
    let (agent, metrics) = start(arguments)?;
    if arguments.exit_at_once {
        count(&metrics, BURST);
        return Ok(());
    }
    let (load, mut watch) = (Load::start(&metrics), Watch::new(arguments)?);
    wait::until("what it goes on for", PATIENCE, || watch.look(&agent))?;
    load.stop()?;
    watch.end(&agent)?;
    let asked = Instant::now();
    agent.shutdown(Duration::from_secs_f64(arguments.shutdown_limit)).wait();
    println!("shutdown {}", asked.elapsed().as_secs_f64());
    count(&metrics, BURST);
    Ok(())
}

async fn inside_tokio(arguments: &Arguments) -> Result<()> {
    let (agent, metrics) = start(arguments)?;
    if arguments.exit_at_once {
        count(&metrics, BURST);
        return Ok(());
    }
    let (load, mut watch) = (Load::start(&metrics), Watch::new(arguments)?);
    wait::until_async("what it goes on for", PATIENCE, || std::future::ready(watch.look(&agent)))
        .await?;
    load.stop()?;
    watch.end(&agent)?;
    let asked = Instant::now();
    agent.shutdown(Duration::from_secs_f64(arguments.shutdown_limit)).await;
    println!("shutdown {}", asked.elapsed().as_secs_f64());
    count(&metrics, BURST);
    Ok(())
}

fn start(arguments: &Arguments) -> Result<(Agent, Metrics)> {
    let transport = match (&arguments.tor_config, arguments.socks) {
        (Some(path), _) => Transport::embedded_with(
            fs::read_to_string(path).with_context(|| path.display().to_string())?,
        ),
        (None, Some(address)) => Transport::socks(address),
        (None, None) => Transport::embedded(),
    };
    let granted = !arguments.without_consent;
    let agent = Agent::builder(arguments.ingest.clone().context("--ingest says where to report")?)
        .schema(schema()?)
        .profile(Profile::Fleet(Rhythm::every(Duration::from_secs_f64(arguments.rhythm))))
        .consent(Consent::callback(move || granted))
        .transport(transport)
        .data_dir(&arguments.data_dir)
        .start()?;
    if arguments.provider == Some(Provider::After) {
        install_provider();
    }
    let metrics: Metrics = agent.instruments()?;
    if arguments.stuck_gauge {
        metrics.digit.read_with(|| {
            loop {
                thread::park();
            }
        });
    }
    if let Some(session) = agent.session() {
        println!("session {session}");
    }
    Ok((agent, metrics))
}

fn schema() -> Result<Schema> {
    Ok(Schema::try_from(Metrics::DECLARATION)?.every(INTERVAL)?.exact())
}

#[expect(clippy::expect_used, reason = "as programs do it: it must not panic because of the agent")]
fn install_provider() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the program is the first to install a provider");
}

/// Records with every instrument, so many times.
fn count(metrics: &Metrics, rounds: u64) {
    for round in 0..rounds {
        let number = (round % 1_000) as i64;
        metrics.rounds.inc();
        metrics.digit.set(number % 10);
        metrics.pace.mark();
        metrics.size.update(number * number);
        let outcome = if round % 2 == 0 { Outcome::Even } else { Outcome::Odd };
        metrics.latency.update(outcome, Duration::from_micros(round % 10_000));
    }
}

/// A thread that counts.
struct Load {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Load {
    fn start(metrics: &Metrics) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (metrics, until) = (metrics.clone(), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            let mut rounds = 0;
            while !until.load(Ordering::Relaxed) && rounds < ROUNDS_LIMIT {
                count(&metrics, BURST);
                rounds += BURST;
                thread::sleep(PAUSE);
            }
            rounds
        });
        Self { stopped, thread }
    }

    fn stop(self) -> Result<()> {
        self.stopped.store(true, Ordering::Relaxed);
        let counted = self.thread.join().ok().context("the load panicked")?;
        println!("counted {counted}");
        Ok(())
    }
}

/// Tells what changes, and when the program has gone on for long enough.
struct Watch<'a> {
    arguments: &'a Arguments,
    began: Instant,
    state: Option<State>,
    pushes: Option<Statistics>,
    at_start: u64,
    steady: bool,
}

impl<'a> Watch<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self> {
        let (began, at_start) = (Instant::now(), resident_bytes()?);
        Ok(Self { arguments, began, state: None, pushes: None, at_start, steady: false })
    }

    fn look(&mut self, agent: &Agent) -> Result<Option<()>> {
        let (state, statistics) = (agent.state(), agent.statistics());
        if self.state != Some(state) {
            println!("state {state:?}");
            self.state = Some(state);
        }
        let Statistics { parcels_sent, parcels_refused, pushes_failed, .. } = statistics;
        let pushes = |s: &Statistics| (s.parcels_sent, s.parcels_refused, s.pushes_failed);
        if self.pushes.as_ref().map(pushes) != Some(pushes(&statistics)) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
            println!(
                "pushes sent {parcels_sent} refused {parcels_refused} failed {pushes_failed} at {now}"
            );
            self.pushes = Some(statistics);
        }
        // Whatever Tor needs for its work is there once a push was decided.
        if !self.steady && !matches!(state, State::Bootstrapping) {
            println!("memory steady {}", resident_bytes()?);
            self.steady = true;
            if let State::Off(_) = state {
                println!("threads while off {}", threads()?);
            }
        }
        let over = matches!(state, State::Off(OffReason::NoConsent | OffReason::DoNotTrack))
            || self.arguments.until_sent.is_some_and(|limit| parcels_sent >= limit)
            || self
                .arguments
                .until_failed
                .is_some_and(|limit| pushes_failed + parcels_refused >= limit)
            || self
                .arguments
                .seconds
                .is_some_and(|limit| self.began.elapsed().as_secs_f64() >= limit);
        Ok(over.then_some(()))
    }

    fn end(&self, agent: &Agent) -> Result<()> {
        if !self.steady {
            // Nothing was decided: then all of it counts.
            println!("memory steady {}", self.at_start);
        }
        println!("statistics {:?}", agent.statistics());
        println!("memory end {}", resident_bytes()?);
        Ok(())
    }
}

/// VmRSS.
fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes = line.trim().strip_suffix("kB").context("not in kB")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// How many threads are left, once those that are about to end have ended.
fn tell_threads() -> Result<()> {
    let alone = || Ok((threads()? == 1).then_some(()));
    let _ = wait::until("the last thread's end", Duration::from_secs(1), alone);
    println!("threads {}", threads()?);
    Ok(())
}

fn threads() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}
