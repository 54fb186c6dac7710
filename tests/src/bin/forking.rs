//! A host program that forks while its agent reports: what its children do with their copy of the agent, and
//! with one of their own.
//!
//! It prints `session ID` for each agent that was started, its own and its children's. A child that
//! finds anything wrong ends with 1, and one that hangs is killed; so does the program.

#![allow(unsafe_code, reason = "fork(2) has no safe wrapper")]

use std::{io::Write, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use undertone::{
    Agent, Consent, Ingest, OffReason, Point, Profile, Rhythm, Schema, State, Statistics, Transport,
};
use undertone_tests::wait;

undertone::instruments! {
    pub struct Metrics in "forking" {
        /// Things that were done.
        done: Counter,
        /// Time that they took.
        latency: Timer,
    }
}

/// Reports, and forks meanwhile.
#[derive(Parser)]
struct Arguments {
    /// Where to report
    #[arg(long)]
    ingest: Ingest,
    /// The SOCKS port of a tor
    #[arg(long)]
    socks: SocketAddr,
    /// Of all agents
    #[arg(long)]
    data_dir: PathBuf,
}

/// Children that only look at what they have inherited: enough to meet the agent's thread at anything.
const CHILDREN: usize = 40;
/// How long a child may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let agent = start(&arguments)?;
    let metrics: Metrics = agent.instruments()?;
    wait_until_sent(&agent, 3)?;
    for _ in 0..CHILDREN {
        metrics.done.inc();
        in_child(|| looks_at(&agent, &metrics))?;
    }
    for drops in [true, false] {
        in_child(|| {
            looks_at(&agent, &metrics)?;
            let own = start(&arguments)?;
            wait_until_sent(&own, 3)?;
            match drops {
                true => drop(own),
                false => own.shutdown(PATIENCE).wait(),
            }
            Ok(())
        })?;
    }
    let (mut agent, mut metrics) = (agent, metrics);
    for drops in [true, false] {
        // The child uses up its copy, without harm to the parent's.
        (agent, metrics) = in_child_that_takes((agent, metrics), |(agent, metrics)| {
            looks_at(&agent, &metrics)?;
            let consent = agent.consent();
            match drops {
                true => drop(agent),
                false => agent.shutdown(SECOND).wait(),
            }
            consent.deny()?.wait();
            Ok(())
        })?;
    }
    metrics.done.inc();
    let sent = agent.statistics().parcels_sent;
    wait_until_sent(&agent, sent + 3)?;
    agent.shutdown(PATIENCE).wait();
    Ok(())
}

fn start(arguments: &Arguments) -> Result<Agent> {
    let agent = Agent::builder(arguments.ingest.clone())
        .schema(Schema::try_from(Metrics::DECLARATION)?.every(SECOND)?)
        .profile(Profile::Fleet(Rhythm::every(Duration::from_millis(50))))
        .consent(Consent::callback(|| true))
        .transport(Transport::socks(arguments.socks))
        .data_dir(&arguments.data_dir)
        .start()?;
    println!("session {}", agent.session().context("the agent is off")?);
    std::io::stdout().flush()?;
    Ok(agent)
}

fn wait_until_sent(agent: &Agent, count: u64) -> Result<()> {
    // A batch in which nothing was measured is not sealed, but chaff is.
    wait::until(
        "parcels",
        PATIENCE,
        || Ok((agent.statistics().parcels_sent >= count).then_some(())),
    )
}

/// Everything that an inherited agent can be asked: it is off, and nothing hangs.
fn looks_at(agent: &Agent, metrics: &Metrics) -> Result<()> {
    ensure!(agent.state() == State::Off(OffReason::Forked), "it is {:?}", agent.state());
    ensure!(agent.session().is_none(), "it has a session");
    ensure!(agent.statistics() == Statistics::default(), "it counts");
    ensure!(agent.tor().is_none(), "it has a Tor");
    ensure!(agent.preview().is_none(), "something would go out");
    ensure!(agent.sent()?.count() == 0, "it has a ledger");
    agent.points().add(vec![Point::new("done").field("value", 1_i64).at(0)])?;
    let more: Metrics = agent.instruments()?;
    for metrics in [metrics, &more] {
        metrics.done.inc();
        metrics.latency.update(SECOND);
    }
    Ok(())
}

/// Runs this in a child, which must end well.
fn in_child(child: impl FnOnce() -> Result<()>) -> Result<()> {
    in_child_that_takes((), |()| child())
}

/// The same, where the child uses up its copy of something that the parent keeps.
fn in_child_that_takes<T>(value: T, child: impl FnOnce(T) -> Result<()>) -> Result<T> {
    // SAFETY: the child only does what POSIX forbids after a fork of a program with threads in as far as glibc
    // allows it (memory), and what this program is there to try.
    let pid = unsafe { libc::fork() };
    ensure!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        let ended = child(value);
        if let Err(error) = &ended {
            eprintln!("in a child: {error:#}");
        }
        // SAFETY: it doesn't return.
        unsafe { libc::_exit(i32::from(ended.is_err())) }
    }
    let mut status = 0;
    let waited = wait::until("the child's end", PATIENCE, || {
        // SAFETY: `status` lives as long as the call.
        let ended = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
        Ok((ended == pid).then_some(()))
    });
    if waited.is_err() {
        // SAFETY: it is this program's child, and not reaped yet.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    waited.context("a child hangs")?;
    ensure!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "a child ended with {status}"
    );
    Ok(value)
}
