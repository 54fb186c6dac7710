//! What the ingest side sees of one session, and of the next, under tokio's paused time.
//!
//! Most of these run the same seed twice: once in peace, and once with something happening to a session.
//! The next one must be the same to the byte and the nanosecond: then nothing of it can tell what happened
//! before.

mod ingest;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use undertone_instruments::Registry;
use undertone_wire::{
    FieldValue, Point,
    endpoint::Ingest,
    parcel::{Unsealed, unseal},
    request::{BODY_LENGTH, REQUEST_LENGTH},
    schema::Schema,
    session::SessionId,
};

use self::ingest::{Arrival, Behaviour, Watched};
use super::*;
use crate::{
    Rhythm,
    clock::paused::Paused,
    ledger::{Book, Ledger},
};

const ONIONS: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

undertone_instruments::instruments! {
    pub(super) struct Metrics in "work" {
        /// Requests.
        requests: Counter { digits: all, linkable },
        /// Bytes sent.
        egress: Meter { digits: all, linkable },
        /// Sizes.
        size: Histogram { unit: "B", digits: all, linkable },
    }
}

/// An agent's worker, its time, the program that it measures, and the ingest side that watches it.
struct Stage {
    time: Arc<Paused>,
    watched: Arc<Watched>,
    shared: Arc<Shared>,
    metrics: Metrics,
    counted: i64,
    seen: Vec<Span>,
    task: JoinHandle<()>,
    looks: mpsc::Sender<Look>,
    _stop: mpsc::Sender<Stop>,
}

/// When a session was there, to the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    id: SessionId,
    begin: Moment,
    end: Moment,
    /// What the program had counted at its beginning and at its end.
    counted: (i64, i64),
}

impl Stage {
    fn new(seed: u64, scope: Scope, profile: Profile) -> Self {
        let time = Arc::new(Paused::new(seed));
        let clock = Clock::paused(Arc::clone(&time));
        let watched = Arc::new(Watched::new(clock.clone()));
        let shared = Arc::new(Shared::new(State::Silent, None));
        let (registry, ingest) = (Registry::new(), ONIONS.parse::<Ingest>().unwrap());
        let schema = Schema::try_from(Metrics::DECLARATION).unwrap();
        let (looks, looked) = mpsc::channel(1);
        let worker = Worker {
            profile,
            scope,
            deployment: ingest.deployment,
            endpoints: ingest.endpoints,
            transport: Arc::clone(&watched) as Arc<dyn Connect>,
            registry: registry.clone(),
            interval: schema.interval(),
            gate: Gate::new(Arc::new(schema)),
            inbox: Inbox::new().0,
            ledger: Book::new(Ledger::Memory, None, clock.clone()),
            looks: looked,
            clock,
            shared: Arc::clone(&shared),
            parcel_age: profile.parcel_age(scope),
            disk: None,
            drops: Drops::default(),
        };
        let (stop, stopped) = mpsc::channel(1);
        let metrics = registry_metrics(&registry);
        let first = profile.rotation(scope).is_none().then(|| worker.session());
        shared.change(|seen| seen.session = first.as_ref().map(Session::id));
        let task = tokio::spawn(worker.run(first, stopped));
        Self {
            time,
            watched,
            shared,
            metrics,
            counted: 0,
            seen: Vec::new(),
            task,
            looks,
            _stop: stop,
        }
    }

    fn anonymous(seed: u64) -> Self {
        Self::new(seed, Scope::default(), Profile::Anonymous)
    }

    fn now(&self) -> Moment {
        self.watched.now()
    }

    /// Works for a second: once a second something is counted, which depends on the time within the session
    /// alone, as that of a program does that knows nothing of sessions only by chance.
    async fn second(&mut self) {
        sleep(self.to_the_second()).await;
        let (now, id) = (self.now(), self.shared.seen().session);
        match (self.seen.last_mut(), id) {
            (Some(last), Some(id)) if last.id == id => {
                (last.end, last.counted.1) = (now, self.counted);
            }
            (_, Some(id)) => {
                let counted = (self.counted, self.counted);
                self.seen.push(Span { id, begin: now, end: now, counted });
            }
            (_, None) => return,
        }
        let within = self.seen.last().map_or(Moment::ZERO, |span| now - span.begin);
        let size = 1 + (within.as_secs() * 31 % 1_009) as i64;
        self.counted += 1;
        self.metrics.requests.inc();
        self.metrics.egress.mark_by(size);
        self.metrics.size.update(size);
    }

    /// How long until it is whole seconds since a circuit was last ended, which is when a session's end was:
    /// so two runs look at their sessions at the same time of each.
    fn to_the_second(&self) -> Duration {
        let last = self.watched.ended().last().map_or(Moment::ZERO, |(at, _)| *at);
        let beyond = Duration::from_nanos((self.now() - last).subsec_nanos().into());
        SECOND - beyond
    }

    async fn until(&mut self, end: Moment) {
        while self.now() < end {
            self.second().await;
        }
    }

    async fn preview(&self) -> Preview {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        assert!(self.looks.send(Look(answer)).await.is_ok());
        loop {
            match answered.try_recv() {
                Ok(preview) => return preview,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn registry_metrics(registry: &Registry) -> Metrics {
    use undertone_instruments::Instruments;
    Metrics::register(registry).unwrap()
}

fn opened(arrival: &Arrival) -> Unsealed {
    assert_eq!(arrival.bytes.len(), REQUEST_LENGTH);
    let deployment = ONIONS.parse::<Ingest>().unwrap().deployment;
    unseal(&arrival.bytes[REQUEST_LENGTH - BODY_LENGTH..], &deployment).unwrap()
}

fn integer(point: &Point, field: &str) -> i64 {
    match point.fields[&field.into()] {
        FieldValue::Integer(value) => value,
        _ => panic!("{point:?}"),
    }
}

/// What the ingest side sees of a session, by the time since it began.
fn of(span: &Span, arrivals: &[Arrival]) -> Vec<Arrival> {
    let whole = arrivals.iter().filter(|arrival| arrival.bytes.len() == REQUEST_LENGTH);
    let ours = whole.filter(|arrival| opened(arrival).session.id() == span.id);
    ours.map(|arrival| Arrival { at: arrival.at - span.begin, ..arrival.clone() }).collect()
}

/// That nothing in what came later is of what was before.
fn nothing_is_shared(before: &[Arrival], after: &[Arrival]) {
    let keys = |arrivals: &[Arrival]| -> BTreeSet<Vec<u8>> {
        let parts = arrivals.iter().flat_map(|arrival| {
            let parcel = opened(arrival);
            let key = parcel.session.as_bytes().to_vec();
            [key, parcel.id.0.to_vec(), arrival.isolation.0.to_vec()]
        });
        parts.collect()
    };
    assert!(!before.is_empty() && !after.is_empty());
    let shared: Vec<_> = keys(before).intersection(&keys(after)).cloned().collect();
    assert!(shared.is_empty(), "both sessions have {shared:?}");
    // Times are drawn anew; only the limit between two slots is everybody's, and timers know milliseconds.
    let gaps = |arrivals: &[Arrival]| -> BTreeSet<Duration> {
        let gaps = arrivals.windows(2).map(|pair| pair[1].at - pair[0].at);
        gaps.filter(|gap| *gap < Duration::from_secs(539)).collect()
    };
    let (before, after) = (gaps(before), gaps(after));
    let shared = before.intersection(&after).count();
    let few = before.len().min(after.len()) / 4;
    assert!(shared <= few, "both sessions have slots so far apart, {shared} times");
}

/// That what a session says begins with it: counts, intervals, ages.
fn begins_with_itself(span: &Span, arrivals: &[Arrival]) {
    for arrival in of(span, arrivals) {
        let parcel = opened(&arrival);
        let sealed = arrival.at.saturating_sub(MINUTE * 10 * u32::from(parcel.age.0));
        for point in parcel.payload.decode().unwrap() {
            let before = u32::try_from(point.timestamp.unwrap()).unwrap();
            assert!(MINUTE * before <= sealed + SECOND, "measured before the session: {point:?}");
            let counted = span.counted.1 - span.counted.0 + 1;
            if point.measurement == "work.requests.count" {
                assert!(integer(&point, "count") <= counted, "{point:?} of {counted}");
            }
        }
    }
}

/// The second session of a seed, what came of it, and all that came, with what happens during the first.
struct Run {
    spans: Vec<Span>,
    arrivals: Vec<Arrival>,
}

impl Run {
    async fn in_peace(seed: u64) -> Self {
        let mut stage = Stage::anonymous(seed);
        while stage.seen.len() < 4 {
            stage.second().await;
        }
        Self::over(&mut stage)
    }

    /// The same with an ingest side that behaves so while the first session lives.
    async fn with(seed: u64, behaviour: Behaviour) -> Self {
        let mut stage = Stage::anonymous(seed);
        let behave = |stage: &Stage, behaviour| stage.watched.behave(behaviour);
        behave(&stage, behaviour);
        while stage.seen.is_empty() || stage.shared.seen().session == Some(stage.seen[0].id) {
            stage.second().await;
        }
        behave(&stage, Behaviour::Answer);
        while stage.seen.len() < 4 {
            stage.second().await;
        }
        Self::over(&mut stage)
    }

    fn over(stage: &mut Stage) -> Self {
        Self { spans: std::mem::take(&mut stage.seen), arrivals: stage.watched.arrivals() }
    }

    /// Of the first session nothing comes once it is over, and of no session in the silence before it.
    fn is_in_order(&self) {
        for (number, span) in self.spans.iter().enumerate().take(3) {
            let until = self.spans[number + 1].begin;
            for arrival in of(span, &self.arrivals) {
                // An end is seen within a second.
                assert!(arrival.at <= span.end - span.begin + SECOND, "after its end");
            }
            let gap =
                |arrival: &&Arrival| (span.end + 2 * SECOND..until - SECOND).contains(&arrival.at);
            assert_eq!(self.arrivals.iter().find(gap), None, "in a silence");
            begins_with_itself(span, &self.arrivals);
        }
        let seen: Vec<Vec<Arrival>> = self.spans.iter().map(|s| of(s, &self.arrivals)).collect();
        nothing_is_shared(&seen[1], &seen[2]);
        if !seen[0].is_empty() {
            nothing_is_shared(&seen[0], &seen[1]);
        }
    }

    /// That its second session, and all after it, are those of the other run.
    fn goes_on_as(&self, other: &Self) {
        for number in 1..3 {
            let (mine, its) = (&self.spans[number], &other.spans[number]);
            assert_eq!(mine.id, its.id, "the same seed");
            let (seen, expected) = (of(mine, &self.arrivals), of(its, &other.arrivals));
            assert!(expected.len() > 5, "too little to see");
            assert_eq!(seen.len(), expected.len(), "requests of session {number}");
            for (place, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
                assert!(seen == expected, "request {place} of session {number} tells of before");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p3_an_outage_joins_no_sessions() {
    for seed in 1..3 {
        let peace = Run::in_peace(seed).await;
        peace.is_in_order();
        for outage in [Behaviour::Refuse, Behaviour::HangConnecting] {
            let run = Run::with(seed, outage).await;
            assert!(
                run.spans[0].end.abs_diff(peace.spans[0].end) <= SECOND,
                "an end depends on nothing"
            );
            run.is_in_order();
            run.goes_on_as(&peace);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p3_a_hostile_ingest_that_withholds_answers_joins_no_sessions() {
    let mut under_way_at_the_end = 0;
    for seed in 1..8 {
        let peace = Run::in_peace(seed).await;
        let others = [Behaviour::CloseUnanswered, Behaviour::Unavailable];
        let others = others.into_iter().filter(|_| seed == 1);
        for hostile in std::iter::once(Behaviour::Withhold).chain(others) {
            let run = Run::with(seed, hostile).await;
            let (end, in_peace) = (run.spans[0].end, peace.spans[0].end);
            assert!(end.abs_diff(in_peace) <= SECOND, "an end depends on nothing");
            let first = of(&run.spans[0], &run.arrivals);
            let parcels: BTreeSet<_> = first.iter().map(|arrival| opened(arrival).id).collect();
            assert_eq!(parcels.len(), 1, "{hostile:?}: one parcel, again and again");
            assert!(first.len() > 1);
            // An answer is waited for for a minute.
            let last = first.last().map_or(Moment::ZERO, |arrival| arrival.at);
            let waits = hostile == Behaviour::Withhold && last + MINUTE > end - run.spans[0].begin;
            under_way_at_the_end += usize::from(waits);
            run.is_in_order();
            run.goes_on_as(&peace);
        }
    }
    assert!(under_way_at_the_end > 0, "no session ended while an answer was withheld");
}

#[tokio::test(start_paused = true)]
async fn p3_a_suspend_joins_no_sessions() {
    let mut opened_afterwards = 0;
    for seed in 1..6 {
        let peace = Run::in_peace(seed).await;
        let mut stage = Stage::anonymous(seed);
        // A stream is opened a second after the machine wakes, hours after its session should have ended.
        let connecting = 50 * SECOND;
        stage.watched.behave(Behaviour::SlowlyConnect(connecting));
        while stage.seen.is_empty()
            || stage.now() < stage.seen[0].begin + 10 * MINUTE
            || stage.watched.connecting_for().is_none_or(|since| since < connecting - 2 * SECOND)
        {
            stage.second().await;
        }
        let (fell_asleep, streams) = (stage.now(), stage.watched.streams());
        stage.time.suspend(2 * DAY);
        stage.until(fell_asleep + 2 * DAY + 20 * SECOND).await;
        opened_afterwards += stage.watched.streams() - streams;
        stage.watched.behave(Behaviour::Answer);
        while stage.seen.len() < 4 {
            stage.second().await;
        }
        let run = Run::over(&mut stage);
        let late = |arrival: &&Arrival| arrival.at > fell_asleep;
        let waking = run.arrivals.iter().find(late).unwrap();
        assert_ne!(opened(waking).session.id(), run.spans[0].id, "sent on waking");
        let begin = run.spans[1].begin;
        assert!(waking.at >= begin, "in the silence after waking");
        for span in &run.spans[1..3] {
            begins_with_itself(span, &run.arrivals);
        }
        run.goes_on_as(&peace);
    }
    assert!(opened_afterwards > 0, "no machine fell asleep where it matters");
}

#[tokio::test(start_paused = true)]
async fn p6_an_age_counts_a_suspend_while_a_stream_is_opened() {
    let fleet = Profile::Fleet(Rhythm::every(10 * MINUTE));
    for (scope, profile) in [(Scope::default(), fleet), (Scope::Batch, Profile::Anonymous)] {
        let mut stage = Stage::new(5, scope, profile);
        let connecting = 50 * SECOND;
        stage.watched.behave(Behaviour::SlowlyConnect(connecting));
        while stage.now() < 3 * HOUR
            || stage.watched.connecting_for().is_none_or(|since| since < connecting - 2 * SECOND)
        {
            stage.second().await;
        }
        let (fell_asleep, streams) = (stage.now(), stage.watched.streams());
        stage.time.suspend(10 * HOUR);
        stage.until(fell_asleep + 10 * HOUR + 20 * SECOND).await;
        assert_eq!(stage.watched.streams(), streams + 1, "its stream was opened");
        let arrivals = stage.watched.arrivals();
        let ages: Vec<u8> = arrivals
            .iter()
            .filter(|arrival| arrival.at > fell_asleep)
            .map(|arrival| opened(arrival).age.0)
            .collect();
        match scope.is_batch() {
            // What isn't delivered within two hours is dropped.
            true => assert!(ages.is_empty(), "sent after ten hours: {ages:?}"),
            false => assert!(ages.len() == 1 && ages[0] >= 60, "after ten hours it says {ages:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p9_with_scope_batch_a_preview_shows_each_parcel_as_it_is_sent() {
    let mut stage = Stage::new(3, Scope::Batch, Profile::Anonymous);
    let preview = loop {
        stage.until(stage.now() + 10 * MINUTE).await;
        if stage.shared.seen().session.is_none() {
            continue;
        }
        let preview = stage.preview().await;
        // Two wait, and one isn't cut yet.
        if preview.parcels.len() > 2 {
            break preview;
        }
    };
    let (next, waiting) = preview.parcels.split_last().unwrap();
    assert_eq!(next.session, stage.shared.seen().session);
    let series: BTreeSet<&str> = next.points.iter().map(|point| &*point.measurement).collect();
    assert_eq!(series.len(), next.points.len(), "one reading of each: {:?}", next.points);
    assert!(next.points.iter().all(|point| point.timestamp == Some(0)), "{:?}", next.points);
    let before = stage.watched.arrivals().len();
    stage.until(stage.now() + 2 * HOUR).await;
    let arrivals = stage.watched.arrivals();
    for (parcel, arrival) in waiting.iter().zip(&arrivals[before..]) {
        let arrived = opened(arrival);
        assert_eq!(Some(arrived.session.id()), parcel.session);
        assert_eq!(arrived.payload.decode().unwrap(), parcel.points);
    }
}

/// Days of an agent each of whose batches is a session, whose ingest side withholds answers for a time.
async fn batches(withheld: Option<(Moment, Moment)>) -> Stage {
    let mut stage = Stage::new(3, Scope::Batch, Profile::Anonymous);
    if let Some((begin, end)) = withheld {
        stage.until(begin).await;
        stage.watched.behave(Behaviour::Withhold);
        stage.until(end).await;
        stage.watched.behave(Behaviour::Answer);
    }
    stage.until(5 * DAY).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn p3_with_scope_batch_every_batch_is_a_session_on_a_circuit_of_its_own() {
    let stage = batches(None).await;
    let arrivals = stage.watched.arrivals();
    // A slot each half an hour, on average.
    assert!((190..290).contains(&arrivals.len()), "{} requests", arrivals.len());
    let (mut keys, mut circuits, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut told, mut full) = (0, 0);
    for arrival in &arrivals {
        let parcel = opened(arrival);
        assert!(keys.insert(*parcel.session.as_bytes()), "a session twice");
        assert!(circuits.insert(arrival.isolation.0), "a circuit twice");
        assert!(ids.insert(parcel.id.0));
        assert!(parcel.age.0 <= 12, "older than two hours: {:?}", parcel.age);
        let points = parcel.payload.decode().unwrap();
        full += usize::from(!points.is_empty());
        let series: BTreeSet<&str> = points.iter().map(|point| &*point.measurement).collect();
        assert_eq!(series.len(), points.len(), "one reading of each: {points:?}");
        for point in &points {
            assert_eq!(point.timestamp, Some(0), "{point:?}");
            assert_eq!(integer(point, "count"), integer(point, "delta"), "a total of a batch");
            told += if point.measurement == "work.requests.count" {
                integer(point, "delta")
            } else {
                0
            };
        }
    }
    assert!(full > 60 && full < arrivals.len(), "{full}, and chaff");
    // All that was counted was told, but for what waits, is too old or isn't cut yet.
    let statistics = stage.shared.seen().statistics;
    let missing = stage.counted - told;
    assert!(missing >= 0 && missing < stage.counted / 3, "{missing} of {}", stage.counted);
    assert!(statistics.drops.total() < 30, "{statistics:?}");
    // Each circuit is ended before the next is begun.
    let ended = stage.watched.ended();
    for (arrival, next) in arrivals.iter().zip(&arrivals[1..]) {
        let end = ended.iter().find(|(_, isolation)| *isolation == arrival.isolation);
        assert!(end.is_some_and(|(at, _)| *at <= next.at), "a circuit is left open");
    }
}

#[tokio::test(start_paused = true)]
async fn p5_with_scope_batch_the_times_of_requests_do_not_depend_on_load_or_answers() {
    let mut expected = None;
    for (busy, behaviour) in [
        (true, Behaviour::Answer),
        (false, Behaviour::Answer),
        (true, Behaviour::Unavailable),
        (true, Behaviour::CloseUnanswered),
    ] {
        let mut stage = Stage::new(4, Scope::Batch, Profile::Anonymous);
        stage.watched.behave(behaviour);
        if busy {
            stage.until(2 * DAY).await;
        } else {
            sleep(2 * DAY).await;
        }
        let times: Vec<Moment> = stage.watched.arrivals().iter().map(|a| a.at).collect();
        assert!(times.len() > 60, "{} requests", times.len());
        let expected = expected.get_or_insert_with(|| times.clone());
        assert!(times == *expected, "other times: busy {busy}, {behaviour:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p3_with_scope_batch_withheld_answers_give_no_age_that_stands_out() {
    let (begin, end) = (2 * DAY, 2 * DAY + 12 * HOUR);
    let stage = batches(Some((begin, end))).await;
    let arrivals = stage.watched.arrivals();
    assert!(arrivals.iter().all(|arrival| opened(arrival).age.0 <= 12));
    let during: Vec<_> = arrivals.iter().filter(|a| (begin..end).contains(&a.at)).collect();
    let circuits: BTreeSet<_> = during.iter().map(|arrival| arrival.isolation.0).collect();
    assert_eq!(circuits.len(), during.len(), "each try has a circuit of its own");
    let sessions: BTreeSet<_> = during.iter().map(|a| *opened(a).session.as_bytes()).collect();
    assert!(sessions.len() > 2 && sessions.len() < during.len(), "tried again, then given up");
    let after: BTreeSet<_> = arrivals
        .iter()
        .filter(|a| a.at > end + 3 * HOUR)
        .map(|a| *opened(a).session.as_bytes())
        .collect();
    assert!(after.is_disjoint(&sessions));
    assert!(stage.shared.seen().statistics.drops.total() > 0);
}

/// The measurements in what arrived within a span of time, by session.
fn measurements(arrivals: &[Arrival], id: SessionId) -> BTreeSet<String> {
    let ours = arrivals.iter().map(opened).filter(|parcel| parcel.session.id() == id);
    ours.flat_map(|parcel| parcel.payload.decode().unwrap())
        .map(|p| p.measurement.into_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_changed_schema_takes_effect_with_the_next_session() {
    let narrow = "namespace = \"work\"\ninterval_seconds = 30\n[[measurement]]\n\
                  name = \"egress\"\nkind = \"meter\"\ndescription = \"Bytes.\"\n";
    let narrow = || Schema::from_toml(narrow).unwrap();
    let mut stage = Stage::anonymous(7);
    while stage.seen.is_empty() || stage.now() < stage.seen[0].begin + 20 * MINUTE {
        stage.second().await;
    }
    stage.shared.keep_schema(narrow());
    while stage.seen.len() < 3 {
        stage.second().await;
    }
    let arrivals = stage.watched.arrivals();
    assert_eq!(measurements(&arrivals, stage.seen[0].id).len(), 3, "all of the first session");
    let next = measurements(&arrivals, stage.seen[1].id);
    assert_eq!(next.into_iter().collect::<Vec<_>>(), ["work.egress.meter"]);

    // Each batch a session: with the next batch.
    let mut stage = Stage::new(7, Scope::Batch, Profile::Anonymous);
    while stage.seen.len() < 3 {
        stage.second().await;
    }
    stage.shared.keep_schema(narrow());
    while stage.seen.len() < 12 {
        stage.second().await;
    }
    let arrivals = stage.watched.arrivals();
    let of_session = |number: usize| measurements(&arrivals, stage.seen[number].id).len();
    let (before, after): (Vec<_>, Vec<_>) =
        (0..9).map(|n| (n, of_session(n))).partition(|x| x.0 < 3);
    assert!(before.iter().all(|(_, many)| [0, 3].contains(many)), "{before:?}");
    assert!(before.iter().any(|(_, many)| *many == 3), "{before:?}");
    assert!(after.iter().all(|(_, many)| *many <= 1), "{after:?}");
    assert!(after.iter().any(|(_, many)| *many == 1), "{after:?}");

    // One session for as long as the agent: with the next cut.
    let rhythm = crate::profile::Rhythm::every(10 * MINUTE);
    let mut stage = Stage::new(7, Scope::default(), Profile::Fleet(rhythm));
    stage.until(2 * HOUR).await;
    let (begin, changed) = (stage.now(), narrow());
    stage.shared.keep_schema(changed);
    stage.until(begin + 6 * HOUR).await;
    let arrivals = stage.watched.arrivals();
    let late: Vec<_> = arrivals.iter().filter(|a| a.at > begin + 2 * HOUR).cloned().collect();
    let id = opened(&late[0]).session.id();
    assert_eq!(measurements(&late, id).into_iter().collect::<Vec<_>>(), ["work.egress.meter"]);
    assert_eq!(measurements(&arrivals, id).len(), 3, "one session, which said more before");
}
