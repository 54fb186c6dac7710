//! What the real agent puts on a wire, seen where Tor would begin, under simulated time.
//!
//! A failure: a request of another size, in two writes, or a second one on a stream; a time of a
//! request that follows from what is measured or answered; a byte that tells when it was sent, but
//! for the age. Not a failure: what the sealed bytes are, or which answers are tried again.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use undertone::{
    Agent, Clock, Consent, FailureKind, FieldValue, Hands, Ingest, SessionId, State, Transport,
};
use undertone_tests::{
    capture::{Behaviour, NO_CONTENT, SocksCapture, Stream},
    wait,
};
use undertone_wire::{
    parcel::{Age, Unsealed, unseal},
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How long a thread of the capture may take to see what happened.
const SOON: Duration = Duration::from_secs(10);
/// Where a request's age stands.
const AGE: usize = REQUEST_LENGTH - BODY_LENGTH + 1;

undertone::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" {
        /// It was answered.
        Ok = "ok",
        /// It was not.
        Failed = "failed",
    }
}

undertone::instruments! {
    pub struct Metrics in "work" {
        /// Requests. Exact, so that what a session counted can be found again.
        requests: Counter { digits: all, linkable },
        /// Files open now.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10] },
        /// Bytes sent.
        egress: Meter,
        /// Sizes of the files that were sent.
        size: Histogram { unit: "B" },
        /// Time to answer.
        latency: Timer<Outcome>,
    }
}

/// An agent, its time, and the tap that it sends through.
struct Tapped {
    capture: SocksCapture,
    agent: Agent,
    hands: Hands,
    /// Registered by an agent that has something to say.
    metrics: Option<Metrics>,
    steps: u64,
}

#[derive(Clone, Copy)]
enum Load {
    Busy,
    Idle,
}

impl Tapped {
    fn start(seed: u64, load: Load) -> Result<Self> {
        let (capture, (clock, hands)) = (SocksCapture::start()?, Clock::simulated(seed));
        let agent = Agent::builder(ONION.parse()?)
            .schema(Metrics::DECLARATION)
            .consent(Consent::callback(|| true))
            .transport(Transport::socks(capture.address()))
            .clock(clock)
            .start()?;
        let metrics = match load {
            Load::Busy => Some(agent.instruments()?),
            Load::Idle => None,
        };
        Ok(Self { capture, agent, hands, metrics, steps: 0 })
    }

    /// How many requests there are in a step.
    fn requests(step: u64) -> u64 {
        step % 50
    }

    /// Works, if it is busy, and lets time pass. All pushes of that time are over on return.
    fn pass(&mut self, time: Duration) {
        self.steps += 1;
        if let Some(metrics) = &self.metrics {
            for number in 0..Self::requests(self.steps) {
                let size = (self.steps * 31 + number * 977) % 100_003;
                metrics.requests.inc();
                metrics.open.set((number % 12) as i64);
                metrics.egress.mark_by(size as i64);
                metrics.size.update(size as i64);
                metrics.latency.update(Outcome::Ok, Duration::from_micros(size * 13));
                metrics.latency.update(Outcome::Failed, Duration::from_millis(size));
            }
        }
        self.hands.advance(time);
    }

    /// Lets time pass until so many requests were made, and returns the last of them.
    fn request(&mut self, number: usize) -> Vec<u8> {
        while self.capture.connections() < number {
            self.pass(SECOND);
        }
        self.capture.streams()[number - 1].bytes.clone()
    }
}

fn opened(request: &[u8]) -> Result<Unsealed> {
    let ingest: Ingest = ONION.parse()?;
    unseal(&request[REQUEST_LENGTH - BODY_LENGTH..], &ingest.deployment).context("unsealing")
}

#[test]
fn p4_every_request_is_3904_bytes_in_one_write() -> Result<()> {
    for load in [Load::Busy, Load::Idle] {
        let mut tapped = Tapped::start(1, load)?;
        (0..8 * 60).for_each(|_| tapped.pass(MINUTE));
        let streams = wait::until("the agent to close each stream", SOON, || {
            let streams = tapped.capture.streams();
            Ok(streams.iter().all(|stream| stream.closed_by_client).then_some(streams))
        })?;
        assert!(streams.len() > 100, "{} streams", streams.len());
        for Stream { bytes, reads, request_ends, host, port, .. } in &streams {
            assert_eq!((bytes.len(), *reads), (3_904, 1));
            assert_eq!(request_ends, &[3_904], "one request a stream");
            assert_eq!((&**host, *port), (ONION, 80));
            let points = opened(bytes)?.payload.decode()?;
            assert!(matches!(load, Load::Busy) || points.is_empty(), "{points:?}");
        }
        let points = |stream: &Stream| Ok(opened(&stream.bytes)?.payload.decode()?.len());
        let points = streams.iter().map(points).collect::<Result<BTreeSet<usize>>>()?;
        let expected = matches!(load, Load::Busy);
        assert_eq!(points.iter().any(|count| *count > 0), expected, "{points:?}");
        assert!(points.contains(&0), "empty parcels are sent by busy agents, too");
    }
    Ok(())
}

/// What is on the streams of an agent in each of its states: how many bytes, in how many writes, of how many requests,
/// beginning with what.
#[test]
fn p4_idle_busy_recovered_and_stopping_agents_write_alike() -> Result<()> {
    const HOURS: usize = 6 * 60;
    let alike = |tapped: &Tapped, before: usize| -> Result<(usize, BTreeSet<_>)> {
        let streams = wait::until("the agent to close each stream", SOON, || {
            let streams = tapped.capture.streams().split_off(before);
            Ok(streams.iter().all(|stream| stream.closed_by_client).then_some(streams))
        })?;
        let written = |stream: &Stream| {
            let head = stream.bytes[..AGE.min(stream.bytes.len())].to_vec();
            (stream.bytes.len(), stream.reads, stream.request_ends.clone(), head)
        };
        Ok((streams.len(), streams.iter().map(written).collect()))
    };

    let mut idle = Tapped::start(8, Load::Idle)?;
    (0..2 * HOURS).for_each(|_| idle.pass(MINUTE));
    let (idle_streams, of_idle) = alike(&idle, 0)?;
    assert_eq!(of_idle.len(), 1, "idle: {of_idle:?}");

    let mut busy = Tapped::start(8, Load::Busy)?;
    (0..HOURS).for_each(|_| busy.pass(MINUTE));
    let half = busy.capture.connections();
    (0..HOURS).for_each(|_| busy.pass(MINUTE));
    assert_eq!(alike(&busy, 0)?, (idle_streams, of_idle.clone()), "busy");

    let mut recovered = Tapped::start(8, Load::Busy)?;
    recovered.capture.behave(Behaviour::Refuse(4));
    (0..HOURS).for_each(|_| recovered.pass(MINUTE));
    assert_eq!(recovered.capture.connections(), half);
    recovered.capture.answer(NO_CONTENT);
    (0..HOURS).for_each(|_| recovered.pass(MINUTE));
    let after = alike(&recovered, half)?;
    assert_eq!(after, (idle_streams - half, of_idle.clone()), "just recovered");

    let Tapped { capture, agent, .. } = busy;
    agent.shutdown(SOON).wait();
    assert_eq!(capture.connections(), idle_streams, "a stopping agent says goodbye");
    Ok(())
}

#[test]
fn p5_the_number_and_times_of_requests_do_not_depend_on_load() -> Result<()> {
    let times = |load: Load, behaviour: Behaviour| -> Result<Vec<u64>> {
        let mut tapped = Tapped::start(2, load)?;
        tapped.capture.behave(behaviour);
        let mut times = Vec::new();
        for second in 0..4 * 3_600 {
            tapped.pass(SECOND);
            times.resize(tapped.capture.connections(), second);
        }
        Ok(times)
    };
    let busy = times(Load::Busy, Behaviour::default())?;
    assert!(busy.len() > 50, "{} requests", busy.len());
    assert_eq!(times(Load::Idle, Behaviour::default())?, busy, "idle");
    for behaviour in [
        Behaviour::Answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n".to_vec()),
        Behaviour::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Behaviour::CloseAtOnce,
        Behaviour::Refuse(4),
    ] {
        assert_eq!(times(Load::Busy, behaviour.clone())?, busy, "{behaviour:?}");
    }
    Ok(())
}

#[test]
fn p6_the_only_time_in_a_request_is_its_age_in_tens_of_minutes() -> Result<()> {
    let mut tapped = Tapped::start(33, Load::Busy)?;
    tapped.capture.answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
    let first = tapped.request(1);
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nhost: {ONION}\r\ncontent-length: {BODY_LENGTH}\r\n\r\n"
    );
    assert_eq!(&first[..AGE - 1], head.as_bytes());
    assert_eq!(opened(&first)?.age, Age(0));

    // Two hours of failure: the same parcel again and again, but for its age.
    let began = tapped.steps;
    let mut number = 1;
    while tapped.steps - began < 2 * 3_600 {
        number += 1;
        let again = tapped.request(number);
        let waited = (tapped.steps - began) / 600;
        // It was sealed up to a while before its first slot.
        assert!(
            (waited..=waited + 1).contains(&u64::from(again[AGE])),
            "after {waited} tens of minutes it says {}",
            again[AGE]
        );
        assert_eq!(without_age(&again), without_age(&first));
    }

    // Once it is taken it is never sent again.
    tapped.capture.answer(NO_CONTENT);
    assert_eq!(without_age(&tapped.request(number + 1)), without_age(&first));
    let mut ids = BTreeSet::from([opened(&first)?.id]);
    for number in number + 2..number + 40 {
        assert!(ids.insert(opened(&tapped.request(number))?.id), "request {number}");
    }
    Ok(())
}

fn without_age(request: &[u8]) -> Vec<u8> {
    [&request[..AGE], &request[AGE + 1..]].concat()
}

/// What becomes of a parcel, by what it is answered with.
#[test]
fn only_204_and_400_decide_a_parcel() -> Result<()> {
    let answer = |text: &str| Behaviour::Answer(format!("HTTP/1.1 {text}\r\n\r\n").into_bytes());
    let failing = State::Failing;
    // The seed decides the parcels, also where a stream is closed before one comes.
    let first = opened(&Tapped::start(4, Load::Busy)?.request(1))?;
    for (behaviour, kept, state) in [
        (answer("204 No Content"), false, State::Quiet),
        (answer("400 Bad Request"), false, failing(FailureKind::Refused)),
        (answer("503 Service Unavailable"), true, failing(FailureKind::Unavailable)),
        (answer("500 Oops"), true, failing(FailureKind::Unavailable)),
        (answer("200 OK"), true, failing(FailureKind::Protocol)),
        (answer("302 Found\r\nLocation: http://elsewhere/"), true, failing(FailureKind::Protocol)),
        (answer("404 Not Found"), true, failing(FailureKind::Protocol)),
        (Behaviour::Answer(b"SSH-2.0-x\r\n".to_vec()), true, failing(FailureKind::Protocol)),
        (Behaviour::Answer(vec![b'x'; 1 << 20]), true, failing(FailureKind::Protocol)),
        (Behaviour::CloseUnanswered, true, failing(FailureKind::Protocol)),
        (Behaviour::CloseAtOnce, true, failing(FailureKind::Protocol)),
    ] {
        let mut tapped = Tapped::start(4, Load::Busy)?;
        tapped.capture.behave(behaviour.clone());
        tapped.request(1);
        assert_eq!(tapped.agent.state(), state, "{behaviour:?}");
        tapped.capture.answer(NO_CONTENT);
        let second = opened(&tapped.request(2))?;
        assert_eq!(second.id == first.id, kept, "{behaviour:?}");
        let statistics = tapped.agent.statistics();
        let refused = u64::from(matches!(state, State::Failing(FailureKind::Refused)));
        assert_eq!(statistics.parcels_refused, refused, "{behaviour:?}");
        assert_eq!(statistics.pushes_failed, u64::from(kept), "{behaviour:?}");
    }
    Ok(())
}

/// One session, as the ingest side and the tor in between see it.
#[derive(Default)]
struct Seen {
    circuits: BTreeSet<Vec<u8>>,
    parcels: BTreeSet<[u8; 16]>,
    /// `count` and the sum of all `delta` of a counter.
    count: i64,
    deltas: i64,
}

/// The sessions of all whole requests so far, in their order.
fn sessions(capture: &SocksCapture) -> Result<Vec<(SessionId, Seen)>> {
    let mut sessions: Vec<(SessionId, Seen)> = Vec::new();
    for stream in capture.streams() {
        let parcel = opened(&stream.bytes)?;
        let id = parcel.session.id();
        if sessions.last().is_none_or(|(last, _)| *last != id) {
            sessions.push((id, Seen::default()));
        }
        let (_, seen) = sessions.last_mut().context("just pushed")?;
        seen.circuits.insert(stream.credentials.context("no isolation")?.0);
        assert!(seen.parcels.insert(parcel.id.0), "a parcel is sent once");
        for point in parcel.payload.decode()? {
            if let ("work.requests.count", Some(FieldValue::Integer(count)), Some(delta)) =
                (&*point.measurement, point.fields.get("count"), point.fields.get("delta"))
                && let FieldValue::Integer(delta) = delta
            {
                seen.count = seen.count.max(*count);
                seen.deltas += delta;
            }
        }
    }
    Ok(sessions)
}

#[test]
fn p3_p7_sessions_follow_each_other_after_a_silence_and_share_nothing() -> Result<()> {
    let mut tapped = Tapped::start(5, Load::Busy)?;
    assert_eq!(tapped.agent.state(), State::Silent, "the first session has a silence, too");
    let (mut silences, mut silent) = (Vec::new(), 0);
    for _ in 0..5 * 24 * 60 {
        let before = tapped.capture.connections();
        let was_silent = tapped.agent.session().is_none();
        tapped.pass(MINUTE);
        if tapped.agent.session().is_none() && was_silent {
            assert_eq!(tapped.capture.connections(), before, "a request in a silence");
            silent += 1;
        } else if silent > 0 {
            silences.push(std::mem::take(&mut silent));
        }
    }
    let sessions = sessions(&tapped.capture)?;
    assert!(sessions.len() > 10, "{} sessions in five days", sessions.len());
    let ids: BTreeSet<SessionId> = sessions.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), sessions.len(), "a session that has ended never comes back");
    let circuits = sessions.iter().flat_map(|(_, seen)| &seen.circuits);
    let parcels = sessions.iter().flat_map(|(_, seen)| &seen.parcels);
    let (circuits, parcels): (Vec<_>, Vec<_>) = (circuits.collect(), parcels.collect());
    for (id, Seen { count, deltas, .. }) in &sessions {
        // The last batches may not have had a slot, so that sums may be behind by those.
        assert!(deltas <= count && *count > 0, "{id}: {count} counted, deltas of {deltas}");
    }
    let total = sessions.iter().map(|(_, seen)| seen.count).max().unwrap_or_default();
    let all: i64 = sessions.iter().map(|(_, seen)| seen.deltas).sum();
    assert!(total < all / 3, "counts begin anew: {total} of {all}");
    let counted: u64 = (1..=tapped.steps).map(Tapped::requests).sum();
    assert!(all <= counted as i64, "some of {counted} was told by two sessions: {all} in all");
    assert_eq!(circuits.iter().collect::<BTreeSet<_>>().len(), circuits.len());
    assert_eq!(parcels.iter().collect::<BTreeSet<_>>().len(), parcels.len());

    assert!(silences.iter().all(|minutes| *minutes <= 60), "{silences:?}");
    let spread = silences.iter().collect::<BTreeSet<_>>().len();
    assert!(spread > silences.len() / 2, "{silences:?}");
    Ok(())
}

#[test]
fn p10_what_a_session_leaves_unsent_is_gone() -> Result<()> {
    let mut tapped = Tapped::start(6, Load::Busy)?;
    tapped.capture.behave(Behaviour::Refuse(4));
    let mut ended = BTreeSet::new();
    while ended.len() < 4 {
        ended.extend(tapped.agent.session());
        tapped.pass(MINUTE);
    }
    let gone = tapped.agent.statistics().drops.total();
    assert!(gone > 50, "{gone} parcels of sessions that were never heard of");
    tapped.capture.answer(NO_CONTENT);
    (0..3 * 24 * 60).for_each(|_| tapped.pass(MINUTE));
    let whole = tapped.capture.streams().into_iter().filter(|stream| !stream.bytes.is_empty());
    let heard = whole.map(|stream| Ok(opened(&stream.bytes)?.session.id()));
    let heard = heard.collect::<Result<BTreeSet<SessionId>>>()?;
    // The fourth may live on after the outage; of those that ended in it, nothing is ever heard.
    assert!(heard.intersection(&ended).count() <= 1 && heard.len() > 4);
    Ok(())
}

#[test]
fn after_five_failures_a_push_has_a_circuit_of_its_own() -> Result<()> {
    let mut tapped = Tapped::start(4, Load::Busy)?;
    tapped.capture.behave(Behaviour::Refuse(4));
    tapped.request(5);
    tapped.capture.answer(NO_CONTENT);
    tapped.request(12);
    let streams = tapped.capture.streams();
    let circuits: Vec<_> = streams.iter().map(|stream| &stream.credentials).collect();
    anyhow::ensure!(circuits[0].is_some(), "nothing isolates the streams");
    assert!(circuits[..5].iter().all(|circuit| *circuit == circuits[0]));
    assert_ne!(circuits[4], circuits[5]);
    assert!(circuits[5..].iter().all(|circuit| *circuit == circuits[5]), "one that works is kept");
    Ok(())
}
