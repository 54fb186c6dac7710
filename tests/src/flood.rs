//! A flood of sessions against a proxy behind a unix socket, beside honest ones: who is still heard.
//!
//! Time goes [`PACE`] times as fast as in the field, for agents, limits and attackers alike: a second here is a
//! minute there. What is stored is read out of the embedded store by another program.

mod parties;
mod pushes;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use tokio::{runtime::Runtime, sync::watch, task::JoinSet};
use undertone_wire::{endpoint::Ingest, session::SessionKey};

use self::{parties::Honest, pushes::Pushes};
use crate::{folder::Folder, proxy::Proxy, wait};

/// How many times as fast as in the field everything is: 3 s for the 180 s between two reports.
pub const PACE: u64 = 60;
/// From when the flood begins until it has used up what places there are at once, on a slow machine.
const SETTLING: Duration = Duration::from_secs(120);
/// What was admitted is in the store after this, on a machine that compiles beside it.
const WRITTEN: Duration = Duration::from_secs(120);
/// How often the proxy's memory is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// What the proxy admits.
const SCHEMA: &str = "namespace = \"app\"\ninterval_seconds = 10\n[[measurement]]\nname = \"hits\"\n\
                      kind = \"counter\"\ndescription = \"Hits.\"\n";
/// The address that nobody asks for.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

/// Who takes part, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Circuits that attackers hold: on each a new session that comes again and again for half an hour, then
    /// another circuit with another session. With them come circuits that bring one parcel
    /// each, as many a second as are answered; with none of them, there is no flood.
    pub hostile: u64,
    /// Sessions that are known before it begins.
    pub established: u64,
    /// Honest sessions that come during the flood.
    pub newcomers: u64,
    /// New sessions that get a place in an hour of the field.
    pub places: u64,
    /// How long it goes on once the places that there are at once are used up: minutes in the field,
    /// seconds here. New ones come in its first fifth.
    pub minutes: u64,
}

/// What became of the parcels of some sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Answered 204.
    pub taken: u64,
    /// Of those, what is in the store.
    pub stored: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Hostile requests that were answered.
    pub offered: u64,
    /// How long the flood was in all, in seconds.
    pub seconds: f64,
    /// Hostile sessions of which something is stored.
    pub admitted: u64,
    /// The new sessions that may have got a place in that time.
    pub ceiling: u64,
    /// Known sessions.
    pub established: Kept,
    /// Honest sessions that came during the flood.
    pub newcomers: Kept,
    /// How long each of those waited until it was stored, in minutes of the field; those that were
    /// not until the end are missing.
    pub waited_minutes: Vec<f64>,
    /// The proxy's memory before the flood, in bytes.
    pub idle_bytes: u64,
    /// The most that it had during the flood.
    pub peak_bytes: u64,
}

impl Kept {
    /// The part that is stored.
    pub fn share(&self) -> f64 {
        self.stored as f64 / self.taken.max(1) as f64
    }
}

/// Runs it, with a proxy of its own that has the default limits at this pace.
pub fn measure(plan: Plan) -> Result<Figures> {
    let folder = Folder::new("flood")?;
    let (socket, hostname) = (folder.join("ingest.sock"), folder.join("hostname"));
    std::fs::write(&hostname, ONION)?;
    let (places, series) = (plan.places * PACE, 60_000 * PACE);
    let limits = format!(
        "new_sessions_per_hour = {places}\nnew_series_per_hour = {series}\n\
         new_session_returns_seconds = 1\nidle_circuit_seconds = {}",
        900 / PACE
    );
    let mut proxy = Proxy::on("")?.behind(&socket, &hostname)?.limits(&limits)?.start(&[SCHEMA])?;
    let ingest: Ingest = proxy.ingest().parse().context("what the proxy printed")?;
    let pushes = Arc::new(Pushes::new(&socket, ONION, ingest.deployment));
    let pid = proxy.process().context("the proxy runs")?.pid();
    let seen = Runtime::new()?.block_on(run(plan, pushes, pid, &proxy))?;
    wait::until("all to be written", WRITTEN, || {
        Ok((proxy.metric("undertone_queue_parcels")? == 0).then_some(()))
    })?;
    let mut figures = seen.figures(&stored(&proxy)?);
    let at_once = places / 4;
    let spread = (places - at_once) as f64 / 3_600.0 * figures.seconds;
    figures.ceiling = at_once + spread.ceil() as u64;
    proxy.stop()?;
    Ok(figures)
}

/// What the parties say of themselves.
struct Seen {
    honest: Vec<Honest>,
    offered: u64,
    seconds: f64,
    idle_bytes: u64,
    peak_bytes: u64,
}

/// Of each session: how many points are stored, and when the first one came.
type Stored = BTreeMap<String, (u64, SystemTime)>;

async fn run(plan: Plan, pushes: Arc<Pushes>, pid: u32, proxy: &Proxy) -> Result<Seen> {
    let (stop, stopped) = watch::channel(false);
    let mut honest = JoinSet::new();
    for number in 0..plan.established {
        let mut session = Honest::new(key(b'e', number), true, &pushes);
        // Known before anything else happens.
        session.push(&pushes).await?;
        honest.spawn(session.report(Arc::clone(&pushes), Duration::ZERO, stopped.clone()));
    }
    let idle_bytes = resident(pid)?;
    let began = Instant::now();
    let mut hostile = JoinSet::new();
    for number in 0..plan.hostile {
        hostile.spawn(parties::hold(Arc::clone(&pushes), key(b'h', number), stopped.clone()));
    }
    for number in 0..if plan.hostile > 0 { parties::AT_ONCE } else { 0 } {
        hostile.spawn(parties::once(Arc::clone(&pushes), key(b'o', number), stopped.clone()));
    }
    if plan.hostile > 0 {
        wait::until_async("places to be scarce", SETTLING, async || {
            Ok((proxy.metric("undertone_session_places")? == 0).then_some(()))
        })
        .await?;
    }
    let coming = Duration::from_secs(plan.minutes) / 5;
    for number in 0..plan.newcomers {
        let session = Honest::new(key(b'n', number), false, &pushes);
        let after = coming * u32::try_from(number)? / u32::try_from(plan.newcomers)?;
        honest.spawn(session.report(Arc::clone(&pushes), after, stopped.clone()));
    }
    let end = tokio::time::Instant::now() + Duration::from_secs(plan.minutes);
    let mut peak_bytes = idle_bytes;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(GLANCE).await;
        peak_bytes = peak_bytes.max(resident(pid)?);
    }
    stop.send_replace(true);
    let mut offered = 0;
    while let Some(done) = hostile.join_next().await {
        offered += done??;
    }
    let mut reports = Vec::new();
    while let Some(done) = honest.join_next().await {
        reports.push(done??);
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(Seen { honest: reports, offered, seconds, idle_bytes, peak_bytes })
}

impl Seen {
    fn figures(self, stored: &Stored) -> Figures {
        let mut figures = Figures {
            offered: self.offered,
            seconds: self.seconds,
            idle_bytes: self.idle_bytes,
            peak_bytes: self.peak_bytes,
            admitted: stored.len() as u64,
            ..Figures::default()
        };
        for session in self.honest {
            let found = stored.get(&session.id());
            let kept =
                if session.established { &mut figures.established } else { &mut figures.newcomers };
            kept.taken += session.taken;
            if let Some((points, first)) = found {
                kept.stored += points;
                figures.admitted -= 1;
                let waited = first.duration_since(session.began).unwrap_or_default();
                if !session.established {
                    figures.waited_minutes.push(waited.as_secs_f64());
                }
            }
        }
        figures.waited_minutes.sort_by(f64::total_cmp);
        figures
    }
}

fn stored(proxy: &Proxy) -> Result<Stored> {
    let rows = proxy.sqlite3(
        "SELECT session, count(*), min(time) FROM point WHERE field = 'delta' GROUP BY session",
    )?;
    rows.into_iter()
        .map(|row| {
            let [session, points, first] = <[String; 3]>::try_from(row)
                .map_err(|row| anyhow::anyhow!("a row of {} columns", row.len()))?;
            let first = UNIX_EPOCH + Duration::from_nanos(first.parse()?);
            Ok((session, (points.parse()?, first)))
        })
        .collect()
}

fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().strip_suffix("kB").context("no kB")?.trim().parse()?;
    Ok(kilobytes * 1_024)
}

/// A key that nobody else here has.
fn key(kind: u8, number: u64) -> SessionKey {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SessionKey::from_seed(&seed)
}
