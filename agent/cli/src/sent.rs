//! What was sent in the last 24 hours, from the ledger: readable, or byte for byte.
//!
//! It reads files and does nothing else, whether an agent runs or not, with consent or without.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use undertone::{
    FailureKind, Ledger,
    ledger::{Outcome, SentParcel, read},
};

use crate::{config::Config, table::table};

/// What of it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The requests themselves, one after another.
    pub(crate) raw: bool,
    /// Not older than this.
    pub(crate) since: Option<Duration>,
    /// Only of the session whose ID begins like this.
    pub(crate) session: Option<String>,
}

/// Shows it.
pub(crate) fn sent(config: &Config, asked: &Asked, out: &mut impl Write) -> Result<()> {
    let folder = &config.agent.data_dir;
    ensure!(
        config.agent.ledger == Ledger::Disk,
        "with `ledger = \"memory\"` what was sent is in memory, and only the agent itself knows what it sent: set it to \"disk\" to see \
         it here"
    );
    let sent = read(folder).with_context(|| format!("read the ledger in {}", folder.display()))?;
    for path in sent.damaged() {
        let path = path.display();
        writeln!(io::stderr(), "undertone: not read to its end, since it is damaged: {path}")?;
    }
    let parcels: Vec<SentParcel> = sent.filter(|parcel| asked.is_for(parcel)).collect();
    if asked.raw {
        ensure!(
            !io::stdout().is_terminal(),
            "--raw writes bytes that no terminal shows: send them to a file, or through `xxd`"
        );
        return Ok(parcels.iter().try_for_each(|parcel| out.write_all(&parcel.request()))?);
    }
    for parcel in &parcels {
        show(parcel, out)?;
    }
    summary(&parcels, out)?;
    Ok(())
}

impl Asked {
    fn is_for(&self, parcel: &SentParcel) -> bool {
        let session = || parcel.session().map(|session| session.to_string()).unwrap_or_default();
        let young = |since| {
            // What was sent in the clock's future was sent a moment ago.
            SystemTime::now().duration_since(parcel.at()).unwrap_or_default() <= since
        };
        self.since.is_none_or(young)
            && self.session.as_ref().is_none_or(|s| session().starts_with(s))
    }
}

/// One request: a line, and below it what it says.
fn show(parcel: &SentParcel, out: &mut impl Write) -> io::Result<()> {
    let at = humantime::format_rfc3339_seconds(parcel.at());
    let session = parcel.session().map_or("no session".to_owned(), |session| session.to_string());
    let points = parcel.points();
    let what = match &points {
        None => "nothing that this version can read".to_owned(),
        Some(points) if points.is_empty() => "chaff".to_owned(),
        Some(points) => format!("{} points", points.len()),
    };
    writeln!(out, "{at}  {session}  {what}, {}", words(parcel.outcome()))?;
    if let Some(points) = points.filter(|points| !points.is_empty()) {
        table(&points, out)?;
        writeln!(out)?;
    }
    Ok(())
}

fn summary(parcels: &[SentParcel], out: &mut impl Write) -> io::Result<()> {
    let count = |what: fn(&SentParcel) -> bool| parcels.iter().filter(|p| what(p)).count();
    let (chaff, taken) = (count(SentParcel::is_chaff), count(|p| p.outcome() == Outcome::Taken));
    writeln!(
        out,
        "{} requests of 3,904 bytes, {chaff} of them chaff; {taken} were taken. A parcel that was tried again \
         is there each time.",
        parcels.len()
    )
}

fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Taken => "taken",
        Outcome::Refused => "called malformed",
        Outcome::Failed(FailureKind::Unavailable) => "not taken, to be tried again",
        Outcome::Failed(_) => "no answer that counts",
        _ => "under way, or cut off",
    }
}
