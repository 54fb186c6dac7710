//! Calls every entry point of the library, so that a trace shows what they do without consent and with it.
//!
//! It prints the agent's state after the start, at the end, and how many threads there are then.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use undertone::{
    Agent, Answer, Clock, Consent, Ingest, Point, Profile, Rhythm, Schema, State, Transport,
    delete_data, probe, switched_off,
};
use undertone_tests::wait;

undertone::instruments! {
    pub struct Metrics in "entries" {
        /// Calls.
        calls: Counter,
        /// Calls under way.
        open: Gauge<i64> { buckets: [0, 1] },
        /// Calls as a rate.
        pace: Meter,
        /// Sizes of calls.
        size: Histogram { unit: "B" },
        /// Time that a call takes.
        latency: Timer,
    }
}

/// Calls every entry point of the library.
#[derive(Parser)]
struct Arguments {
    /// Where to report
    #[arg(long)]
    ingest: Ingest,
    /// The user's answer
    #[arg(long)]
    consent: PathBuf,
    /// Where Tor keeps its state
    #[arg(long)]
    data_dir: PathBuf,
    /// arti's configuration
    #[arg(long)]
    tor_config: PathBuf,
    /// The SOCKS port of a tor, instead of Tor in this process
    #[arg(long)]
    socks: Option<SocketAddr>,
    /// Once it reports, say no
    #[arg(long)]
    deny: bool,
}

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let consent = || Consent::file(&arguments.consent);
    let transport = match arguments.socks {
        Some(address) => Transport::socks(address),
        None => Transport::embedded_with(fs::read_to_string(&arguments.tor_config)?),
    };
    let schema = Schema::try_from(Metrics::DECLARATION)?.every(SECOND)?;
    let builder = Agent::builder(arguments.ingest.clone())
        .schema(schema.clone())
        .profile(Profile::Fleet(Rhythm::every(Duration::from_millis(50))))
        .transport(transport.clone())
        .data_dir(&arguments.data_dir)
        .clock(Clock::system())
        .consent(consent());
    println!("{builder:?}");
    let agent = builder.start()?;
    println!("state {:?}", agent.state());
    let metrics: Metrics = agent.instruments()?;
    record(&metrics);
    // Which a schema that isn't open refuses later.
    agent.points().add(vec![Point::new("calls").field("value", 1_i64).at(0)])?;
    let answer = agent.consent();
    let (state, pending) = (answer.state(), answer.pending());
    println!("{state:?} {pending:?} {}", answer.schema().version());
    println!("{agent:?} {:?} {:?} {:?}", agent.tor(), agent.statistics(), agent.session());
    println!("{:?} {:?}", switched_off(), Answer::read(&arguments.consent));
    println!("{:?} {}", agent.preview(), agent.sent()?.count());
    println!("{}", undertone::ledger::read(&arguments.data_dir)?.count());
    agent.replace_schema(schema)?;
    if let State::Off(_) = agent.state() {
        if switched_off().is_some() || !matches!(answer.state(), Answer::Granted(_)) {
            let data_dir = Some(arguments.data_dir.clone());
            let probed = probe(&consent(), &arguments.ingest, &transport, data_dir, SECOND);
            ensure!(probed.is_err(), "it probed without consent");
        }
        if switched_off().is_some() {
            ensure!(answer.grant().is_err(), "it granted what is switched off");
        }
        delete_data(&arguments.data_dir, Duration::ZERO);
    } else {
        wait::until("the agent to work", PATIENCE, || {
            let works = match arguments.socks {
                Some(_) => agent.statistics().parcels_sent > 2,
                None => arguments.data_dir.join("tor-0/state").exists(),
            };
            Ok(works.then_some(()))
        })?;
    }
    if arguments.deny {
        answer.deny()?.wait();
        ensure!(agent.session().is_none(), "a session goes on");
        ensure!(agent.tor().is_none(), "a Tor goes on");
        record(&metrics);
        let statistics = agent.statistics();
        ensure!(statistics.parcels_waiting == 0, "{statistics:?}");
        ensure!(agent.preview().is_none(), "something would go out");
        ensure!(agent.sent()?.count() == 0, "the ledger is left");
        println!("denied {statistics:?}");
    }
    println!("state {:?}", agent.state());
    if arguments.deny {
        // The one that ended the others tells so and then ends itself.
        wait::until("a single thread", PATIENCE, || {
            let threads = fs::read_dir("/proc/self/task").context("threads")?.count();
            Ok((threads == 1).then_some(()))
        })?;
        println!("threads 1");
    }
    agent.shutdown(SECOND).wait();
    Ok(())
}

fn record(metrics: &Metrics) {
    metrics.calls.inc();
    metrics.open.set(1);
    metrics.pace.mark();
    metrics.size.update(100);
    metrics.latency.update(Duration::from_millis(1));
}
