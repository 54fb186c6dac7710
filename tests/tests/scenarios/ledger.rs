//! What an agent says that it sent is what came out of it, byte for byte, under simulated time.
//!
//! A failure: a request that the ledger doesn't hold, or holds with another byte, at another place or with
//! another outcome than it had; one that is older than a day; a preview that isn't what goes out next. Not a
//! failure: requests whose answers are lost, which the ledger shows as such.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use undertone::{
    Agent, Clock, Consent, FailureKind, Hands, Ingest, Point, Transport,
    ledger::{self, Outcome, SentParcel},
};
use undertone_tests::{
    capture::{Behaviour, NO_CONTENT, SocksCapture},
    folder::Folder,
};
use undertone_wire::{
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const MINUTE: Duration = Duration::from_secs(60);
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\r\n";

undertone::instruments! {
    pub struct Metrics in "work" {
        /// Requests.
        requests: Counter,
        /// Sizes of the files that were sent.
        size: Histogram { unit: "B" },
    }
}

struct Tapped {
    capture: SocksCapture,
    agent: Agent,
    hands: Hands,
    metrics: Metrics,
    folder: Folder,
}

impl Tapped {
    fn start(seed: u64) -> Result<Self> {
        let (capture, (clock, hands)) = (SocksCapture::start()?, Clock::simulated(seed));
        let folder = Folder::new("ledger")?;
        let agent = Agent::builder(ONION.parse()?)
            .schema(Metrics::DECLARATION)
            .consent(Consent::callback(|| true))
            .transport(Transport::socks(capture.address()))
            .data_dir(folder.join("data"))
            .clock(clock)
            .start()?;
        let metrics = agent.instruments()?;
        Ok(Self { capture, agent, hands, metrics, folder })
    }

    /// Works, and lets a minute pass. All pushes of that time are over on return.
    fn minute(&self) {
        self.metrics.requests.inc();
        self.metrics.size.update(1_000);
        self.hands.advance(MINUTE);
    }

    fn hours(&self, hours: usize) {
        (0..hours * 60).for_each(|_| self.minute());
    }

    fn sent(&self) -> Result<Vec<SentParcel>> {
        Ok(self.agent.sent()?.collect())
    }
}

fn requests(sent: &[SentParcel]) -> Vec<Vec<u8>> {
    sent.iter().map(SentParcel::request).collect()
}

fn points(request: &[u8]) -> Result<Vec<Point>> {
    let ingest: Ingest = ONION.parse()?;
    let body = &request[REQUEST_LENGTH - BODY_LENGTH..];
    Ok(unseal(body, &ingest.deployment).context("unsealing")?.payload.decode()?)
}

#[test]
fn p9_the_ledger_holds_every_request_byte_for_byte() -> Result<()> {
    let tapped = Tapped::start(1)?;
    let mut ends = Vec::new();
    for (behaviour, hours) in [
        (Behaviour::default(), 4),
        (Behaviour::Answer(UNAVAILABLE.to_vec()), 2),
        (Behaviour::CloseUnanswered, 2),
        (Behaviour::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), 2),
        (Behaviour::Refuse(4), 2),
        (Behaviour::default(), 4),
    ] {
        tapped.capture.behave(behaviour);
        tapped.hours(hours);
        ends.push(tapped.capture.requests().len());
    }
    let (sent, captured) = (tapped.sent()?, tapped.capture.requests());
    assert!(captured.len() > 150, "{} requests", captured.len());
    assert_eq!(sent.len(), captured.len());
    for (number, (sent, captured)) in sent.iter().zip(&captured).enumerate() {
        assert!(sent.request() == *captured, "request {number} is not what was sent");
        assert_eq!(sent.points(), Some(points(captured)?), "request {number}");
        assert_eq!(sent.is_chaff(), points(captured)?.is_empty());
        let outcome = match ends.iter().position(|end| number < *end) {
            Some(1) => Outcome::Failed(FailureKind::Unavailable),
            Some(2) => Outcome::Failed(FailureKind::Protocol),
            Some(3) => Outcome::Refused,
            _ => Outcome::Taken,
        };
        assert_eq!(sent.outcome(), outcome, "request {number}");
    }
    assert_eq!(ends[3], ends[4], "where no stream is opened nothing is sent");
    assert!(sent.iter().any(SentParcel::is_chaff) && !sent.iter().all(SentParcel::is_chaff));
    let sessions: BTreeSet<_> = sent.iter().map(SentParcel::session).collect();
    assert!(sessions.len() > 1 && !sessions.contains(&None), "{sessions:?}");

    // After a day and a half, the last day of it is there.
    tapped.hours(20);
    let (sent, captured) = (requests(&tapped.sent()?), tapped.capture.requests());
    assert!(captured.ends_with(&sent), "what is left isn't what was sent last");
    let gone = captured.len() - sent.len();
    assert!((ends[0] + 1..ends[5]).contains(&gone), "{gone} of {} are gone", captured.len());

    // Anybody who may read the folder sees the same, also when the agent is gone.
    let Tapped { agent, folder, .. } = tapped;
    let data_dir = folder.join("data");
    let read = |what: &str| -> Result<Vec<Vec<u8>>> {
        let read = ledger::read(&data_dir).context(what.to_owned())?;
        ensure!(read.damaged().is_empty(), "{what}: {:?}", read.damaged());
        Ok(requests(&read.collect::<Vec<_>>()))
    };
    assert!(read("while it runs")? == sent);
    drop(agent);
    assert!(read("afterwards")? == sent);
    Ok(())
}

#[test]
fn p9_an_agent_previews_what_it_sends_next() -> Result<()> {
    let tapped = Tapped::start(2)?;
    assert_eq!(tapped.agent.preview(), None, "a silent agent sends nothing");
    tapped.capture.behave(Behaviour::Answer(UNAVAILABLE.to_vec()));
    while tapped.agent.statistics().parcels_waiting < 4 {
        tapped.minute();
    }
    let (session, waiting) = (tapped.agent.session(), tapped.agent.statistics().parcels_waiting);
    let preview = tapped.agent.preview().context("a preview")?;
    assert_eq!(tapped.agent.preview().as_ref(), Some(&preview), "looking changes nothing");
    assert_eq!(preview.refused, []);
    assert!(preview.parcels.iter().all(|parcel| parcel.session == session));
    assert!((waiting..=waiting + 1).contains(&preview.parcels.len()));
    assert!(preview.points().any(|point| point.measurement == "work.size.histogram"));

    let before = tapped.capture.requests().len();
    tapped.capture.answer(NO_CONTENT);
    while tapped.capture.requests().len() < before + waiting {
        tapped.minute();
        ensure!(tapped.agent.session() == session, "the session is over: choose another seed");
    }
    for (number, expected) in preview.parcels[..waiting].iter().enumerate() {
        let found = points(&tapped.capture.requests()[before + number])?;
        assert_eq!(found, expected.points, "parcel {number}");
    }
    Ok(())
}
