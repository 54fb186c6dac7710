//! `make privacy-wire`, second part: agents whose load changes, seen on their links to the guard.
//!
//! Writes a table with one line for each window of time, for the classifier in `tests/tools/classify.py`, and prints
//! what each part of the traffic is in bytes. The Tor network is private, and its consensus stays for an hour.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;
use undertone::{Cost, Ingest, SessionId};
use undertone_tests::{
    janitor,
    observed::{Kind, Observed},
    proxy::Proxy,
    tor_network::{Options, TorNetwork},
    windows::{self, Plan, Span},
};

/// Watches agents on their links.
#[derive(Parser)]
struct Arguments {
    /// Agents of the profile `anonymous`
    #[arg(long, default_value_t = 14)]
    agents: usize,
    /// Agents of the control, whose size follows their load
    #[arg(long, default_value_t = 4)]
    control: usize,
    /// How often each agent is busy, and how often idle
    #[arg(long, default_value_t = 11)]
    turns: usize,
    /// How many times as fast as real time agents live
    #[arg(long, default_value_t = 120)]
    factor: u32,
    /// Length of a window
    #[arg(long, default_value_t = 3_000)]
    window_milliseconds: u64,
    /// Where the table goes
    #[arg(long)]
    table: PathBuf,
}

/// Windows between two changes of load.
const WINDOWS: u32 = 10;
/// What was recorded before a change is under way for some cuts and slots at most.
const SETTLING: Duration = Duration::from_secs(4);
/// So seldom that no push comes while it is watched.
const NEVER: Duration = Duration::from_secs(24 * 3_600);
/// From a start to a pool of circuits that is full.
const STARTED: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(200);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let watched = watch(&arguments);
    // Also after a failure: everything that was started is gone.
    janitor::dismiss()?;
    watched
}

fn watch(arguments: &Arguments) -> Result<()> {
    let hourly = Options { voting_interval: Duration::from_secs(3_600), ..Options::default() };
    let network = TorNetwork::start_with(hourly, say)?;
    let tor = network.arti_toml()?;
    let schemas = Observed::schemas()?;
    let proxy = Proxy::on(&tor)?.start(&schemas.each_ref().map(String::as_str))?;
    let ingest: Ingest = proxy.ingest().parse()?;
    let window = Duration::from_millis(arguments.window_milliseconds);
    let plan = Plan { turns: arguments.turns, settling: SETTLING, window, windows: WINDOWS };

    say("starting agents");
    let start = |kind, factor| Observed::start(kind, &tor, &ingest, factor);
    let many = |kind, number| -> Result<Vec<Observed>> {
        (0..number).map(|_| start(kind, arguments.factor)).collect()
    };
    // The first one waits for the onion service to be published; whoever asks earlier is told that there is
    // none, and for a while doesn't ask again.
    let pushing = start(Kind::Fleet(Duration::from_secs(1)), 1)?;
    pushing.wait_until_it_reports()?;
    let anonymous = many(Kind::Anonymous, arguments.agents)?;
    let control = many(Kind::SizeByLoad, arguments.control)?;
    let parts = Parts {
        quiet: start(Kind::Fleet(NEVER), 1)?,
        untamed: start(Kind::Untamed(NEVER), 1)?,
        pushing,
    };
    let all: Vec<&Observed> = anonymous.iter().chain(&control).collect();
    all.iter().try_for_each(|agent| agent.wait_until_it_reports())?;
    say("all agents report");
    sleep(STARTED);

    say(&format!("watching {} agents for {} s", all.len(), plan.duration().as_secs()));
    let before = Reading::of(&anonymous, &parts);
    let ended = AtomicBool::new(false);
    let (spans, sessions) = std::thread::scope(|scope| {
        let sessions = scope.spawn(|| sessions(&anonymous, &ended));
        let lives: Vec<_> =
            all.iter().map(|agent| scope.spawn(|| agent.live_through(&plan))).collect();
        let spans: Vec<Vec<Span>> =
            lives.into_iter().map(|life| life.join().unwrap_or_default()).collect();
        ended.store(true, Ordering::SeqCst);
        (spans, sessions.join().unwrap_or_default())
    });
    let after = Reading::of(&anonymous, &parts);

    let mut table = windows::csv_head();
    for (number, (agent, spans)) in all.iter().zip(&spans).enumerate() {
        let kind = if number < anonymous.len() { "anonymous" } else { "control" };
        let windows = plan.cut(&agent.link.pieces(), spans);
        table += &windows::csv(kind, number, &windows);
    }
    fs::write(&arguments.table, table)?;
    report(&parts, &anonymous, &before, &after, sessions)
}

/// Agents each of which shows one part of the traffic.
struct Parts {
    quiet: Observed,
    untamed: Observed,
    pushing: Observed,
}

/// Counts at one time.
struct Reading {
    at: Instant,
    anonymous: u64,
    failed: u64,
    pushing: u64,
}

impl Reading {
    fn of(anonymous: &[Observed], parts: &Parts) -> Self {
        let pushes = |agent: &Observed| agent.agent.statistics().parcels_sent;
        Self {
            at: Instant::now(),
            anonymous: anonymous.iter().map(pushes).sum(),
            failed: anonymous.iter().map(|agent| agent.agent.statistics().pushes_failed).sum(),
            pushing: pushes(&parts.pushing),
        }
    }
}

/// How many sessions these agents began until it is over, beyond the first ones.
fn sessions(agents: &[Observed], ended: &AtomicBool) -> usize {
    let mut seen: BTreeSet<SessionId> = agents.iter().filter_map(|a| a.agent.session()).collect();
    let first = seen.len();
    while !ended.load(Ordering::SeqCst) {
        seen.extend(agents.iter().filter_map(|agent| agent.agent.session()));
        sleep(GLANCE);
    }
    seen.len() - first
}

/// What each part of the traffic is in bytes of TCP, beside what `undertone check` reckons with.
fn report(
    parts: &Parts,
    anonymous: &[Observed],
    before: &Reading,
    after: &Reading,
    sessions: usize,
) -> Result<()> {
    let minutes = (after.at - before.at).as_secs_f64() / 60.0;
    let counted = |agent: &Observed| agent.link.bytes(before.at, after.at) as f64;
    let idle = counted(&parts.quiet) / minutes;
    let untamed = counted(&parts.untamed) / minutes;
    let pushes = (after.pushing - before.pushing) as f64;
    let push = (counted(&parts.pushing) - idle * minutes) / pushes;
    let all: f64 = anonymous.iter().map(counted).sum();
    let agents = anonymous.len() as f64;
    let theirs = (after.anonymous - before.anonymous) as f64;
    let of_sessions = all - idle * minutes * agents - push * theirs;
    let session = of_sessions / sessions as f64;
    println!("in {minutes:.1} minutes, {agents} agents of the profile anonymous:");
    println!("  {theirs} pushes taken, {} failed", after.failed - before.failed);
    println!("  {sessions} sessions begun, {:.2} MB on the wire", all / 1e6);
    println!("bytes of TCP to and from the guard, measured (and as `check` reckons):");
    println!("  a push on a circuit that is there  {push:.0} ({})", Cost::PUSH_BYTES);
    println!("  a minute of idle Tor, tamed        {idle:.0} ({})", Cost::IDLE_BYTES_A_MINUTE);
    println!("  a minute of idle Tor, untamed      {untamed:.0}");
    println!("  a session's circuits               {session:.0} ({})", Cost::SESSION_BYTES);
    let reckoned = idle_bytes(minutes) * agents
        + theirs * Cost::PUSH_BYTES as f64
        + sessions as f64 * Cost::SESSION_BYTES as f64;
    println!("  all of the agents'                 {all:.0} ({reckoned:.0})");
    let ratio = all / reckoned;
    ensure!((0.75..1.25).contains(&ratio), "what `check` reckons with is wrong: {ratio:.2}");
    let ratio = idle / Cost::IDLE_BYTES_A_MINUTE as f64;
    ensure!(ratio < 1.25, "an idle Tor takes more than `check` reckons with: {ratio:.2}");
    Ok(())
}

fn idle_bytes(minutes: f64) -> f64 {
    minutes * Cost::IDLE_BYTES_A_MINUTE as f64
}

/// Progress, for who waits.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "privacy-wire: {what}");
}
