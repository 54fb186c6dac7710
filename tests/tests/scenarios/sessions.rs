//! Nothing of one agent is in another, be it the next start of the same program or its neighbour.
//!
//! A failure: a byte that a restarted agent sends because of what was before it, anything of the earlier one that arrives
//! later, a key or a circuit that two agents of a process have in common. Not a failure: Tor's own state, which is
//! kept over restarts, as the guards have to be.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, Result};
use undertone::{Agent, Clock, Consent, Ingest, SessionId, Transport};
use undertone_tests::{
    capture::{Behaviour, NO_CONTENT, SocksCapture, Stream},
    folder::Folder,
    wait,
};
use undertone_wire::{
    parcel::{Unsealed, unseal},
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

use crate::fixtures::ARRIVAL;

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const MINUTE: Duration = Duration::from_secs(60);

undertone::instruments! {
    pub struct Metrics in "work" {
        /// Requests.
        requests: Counter,
        /// Bytes sent.
        egress: Meter,
    }
}

/// An agent through `capture`, with its data in `folder`.
fn agent(capture: &SocksCapture, folder: &Path, clock: Clock) -> Result<Agent> {
    let builder = Agent::builder(ONION.parse()?).schema(Metrics::DECLARATION).data_dir(folder);
    let builder = builder.consent(Consent::callback(|| true)).clock(clock);
    Ok(builder.transport(Transport::socks(capture.address())).start()?)
}

/// The same work under the same seed, for so many minutes.
fn work(capture: &SocksCapture, folder: &Path, seed: u64, minutes: i64) -> Result<()> {
    let (clock, hands) = Clock::simulated(seed);
    let agent = agent(capture, folder, clock)?;
    let metrics: Metrics = agent.instruments()?;
    for minute in 0..minutes {
        metrics.requests.inc_by(minute % 7);
        metrics.egress.mark_by(minute * 31 % 1_009);
        if minute == minutes - 60 {
            capture.behave(Behaviour::Refuse(4));
        }
        hands.advance(MINUTE);
    }
    // As if killed, with parcels that wait.
    drop(agent);
    Ok(())
}

fn opened(stream: &Stream) -> Result<Unsealed> {
    let ingest: Ingest = ONION.parse()?;
    let body = stream.bytes.get(REQUEST_LENGTH - BODY_LENGTH..).context("a whole request")?;
    unseal(body, &ingest.deployment).context("unsealing")
}

/// What an ingest side and the tor in between can recognise a stream by.
fn marks(streams: &[Stream]) -> Result<BTreeSet<Vec<u8>>> {
    let mut marks = BTreeSet::new();
    for stream in streams {
        marks.insert(stream.credentials.clone().context("no isolation")?.0);
        if !stream.bytes.is_empty() {
            let parcel = opened(stream)?;
            marks.extend([parcel.session.as_bytes().to_vec(), parcel.id.0.to_vec()]);
        }
    }
    Ok(marks)
}

#[test]
fn p3_a_restart_joins_no_sessions() -> Result<()> {
    let (folder, elsewhere) = (Folder::new("restarted")?, Folder::new("elsewhere")?);
    let (capture, other) = (SocksCapture::start()?, SocksCapture::start()?);
    work(&capture, folder.path(), 1, 12 * 60)?;
    let before = capture.streams();
    assert!(before.iter().any(|stream| stream.bytes.is_empty()), "parcels wait at the end");
    capture.answer(NO_CONTENT);
    work(&capture, folder.path(), 2, 12 * 60)?;
    let after = capture.streams().split_off(before.len());
    assert!(before.len() > 50 && after.len() > 50, "{} and {}", before.len(), after.len());
    let known = marks(&before)?.intersection(&marks(&after)?).count();
    assert_eq!(known, 0, "marks of an earlier session");

    // One that has never been here before does the same to the byte: so nothing tells of a before.
    work(&other, elsewhere.path(), 2, 12 * 60)?;
    let first = other.streams();
    assert_eq!(first.len(), after.len());
    for (number, (first, again)) in first.iter().zip(&after).enumerate() {
        assert_eq!(first.credentials, again.credentials, "stream {number}");
        assert!(first.bytes == again.bytes, "request {number} tells of a restart");
    }
    Ok(())
}

#[test]
fn p3_two_agents_of_one_program_have_sessions_of_their_own() -> Result<()> {
    let folder = Folder::new("two")?;
    // One clock for both: all that they could share is what they draw.
    let clock = Clock::accelerated(2_000);
    let mut streams: Vec<Vec<Stream>> = Vec::new();
    let captures = [SocksCapture::start()?, SocksCapture::start()?];
    let start = |capture: &SocksCapture| agent(capture, folder.path(), clock.clone());
    let agents = [start(&captures[0])?, start(&captures[1])?];
    for capture in &captures {
        wait::until("three sessions", ARRIVAL, || {
            let whole = capture.streams().into_iter().filter(|s| !s.request_ends.is_empty());
            let sessions = whole.map(|stream| Ok(opened(&stream)?.session.id()));
            Ok((sessions.collect::<Result<BTreeSet<SessionId>>>()?.len() >= 3).then_some(()))
        })?;
    }
    drop(agents);
    for capture in &captures {
        let streams_now = capture.streams().into_iter();
        streams.push(streams_now.filter(|stream| !stream.request_ends.is_empty()).collect());
    }
    let common = marks(&streams[0])?.intersection(&marks(&streams[1])?).count();
    assert_eq!(common, 0, "marks that two agents have in common");
    Ok(())
}
