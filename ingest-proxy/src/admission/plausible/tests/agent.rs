//! Real agents, which the proxy must believe whatever their programs do.
//!
//! Gate, snapshots, batch, session, schedule and request are those that every agent runs; only time and Tor
//! are replaced. Programs count in bursts beyond what they declared, back and from the beginning; nobody
//! is reachable for hours; parcels are lost, come late, twice and out of order; sessions end and begin;
//! the proxy is started again. A failure: one point that is taken for false. Not a failure: what the gate
//! cut off.

use std::{collections::HashSet, hash::RandomState, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use undertone::{
    Instruments, Profile, Registry, Rhythm, Scope,
    simulation::{Simulation, World},
};
use undertone_wire::{endpoint::Ingest, parcel, request::BODY_LENGTH, schema::Schema};

use super::{BEGIN, Claim, Claims, Plausible};

undertone::instruments! {
    struct Metrics in "app" {
        /// Slow.
        slow: Counter { max_per_second: 1, digits: all, linkable },
        /// Coarse.
        coarse: Counter { max_per_second: 3, digits: 1 },
        /// Fast.
        fast: Counter { max_per_second: 1_000_000 },
        /// Whatever there is.
        any: Counter { digits: 3, linkable },
        /// Events.
        events: Meter { max_per_second: 2 },
        /// Sizes.
        sizes: Histogram { max_per_second: 1, range: [0, 1_000], digits: 1 },
        /// Values.
        values: Histogram { max_per_second: 5, digits: all, linkable },
        /// Times.
        times: Timer { max_per_second: 1 },
        /// Open.
        open: Gauge<i64> { buckets: [0, 1, 10] },
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A program, and what its agent sends.
struct Program {
    metrics: Metrics,
    random: StdRng,
    /// How much happens: 0 is little, 9 far more than was declared.
    load: i32,
    outages: Vec<(Duration, Duration)>,
    sent: Vec<(Duration, Vec<u8>)>,
}

impl World for Program {
    fn pass(&mut self, _: Duration) {
        let Self { metrics, random, load, .. } = self;
        let mut some = |most: i64| random.random_range(0..=most << *load);
        let (slow, coarse) = (some(1), some(3));
        metrics.slow.inc_by(slow);
        metrics.coarse.inc_by(coarse);
        metrics.fast.inc_by(some(1_000_000));
        metrics.any.inc_by(some(1 << 40));
        metrics.events.mark_by(some(2));
        for _ in 0..some(1).min(50) {
            metrics.sizes.update(some(1_000));
            metrics.times.update(Duration::from_nanos(some(1 << 30).unsigned_abs()));
        }
        for _ in 0..some(2).min(50) {
            metrics.values.update(some(1 << 20) - 1_000);
        }
        metrics.open.set(some(5));
        match random.random_range(0..2_000) {
            0 => metrics.coarse.clear(),
            1 => metrics.any.inc_by(i64::MAX),
            2 => metrics.any.dec_by(1 << 50),
            3 => metrics.slow.dec_by(slow + 1_000),
            4 => metrics.events.mark_by(-100),
            5 => metrics.fast.inc_by(i64::MIN),
            _ => {}
        }
    }

    fn reachable(&mut self, now: Duration) -> bool {
        !self.outages.iter().any(|(from, until)| (*from..*until).contains(&now))
    }

    fn take(&mut self, now: Duration, _: u128, request: &[u8]) {
        self.sent.push((now, request[request.len() - BODY_LENGTH..].to_vec()));
    }
}

#[derive(Debug, Clone)]
struct Life {
    seed: u64,
    profile: u8,
    interval: u64,
    load: i32,
    outages: Vec<(u32, u32)>,
    restarts: u32,
}

fn lives() -> impl Strategy<Value = Life> {
    let interval = prop_oneof![Just(1_u64), Just(10), Just(60), Just(600), Just(40_000)];
    let outages = vec((0..10_u32, 0..8_u32), 0..3);
    (any::<u64>(), 0..4_u8, interval, 0..10, outages, 0..3_u32).prop_map(
        |(seed, profile, interval, load, outages, restarts)| Life {
            seed,
            profile,
            interval,
            load,
            outages,
            restarts,
        },
    )
}

/// All that the agent of this life sends, and its schema.
fn sent(life: &Life) -> (Schema, Ingest, Vec<(Duration, Vec<u8>)>) {
    let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    let registry = Registry::new();
    let schema = Schema::try_from(Metrics::DECLARATION).unwrap();
    let schema = schema.every(Duration::from_secs(life.interval)).unwrap();
    let (profile, scope) = match life.profile {
        0 => (Profile::Anonymous, Scope::default()),
        1 => (Profile::Anonymous, Scope::Batch),
        2 => (Profile::Fleet(Rhythm::every(Duration::from_secs(30))), Scope::default()),
        _ => (Profile::Fleet(Rhythm::every(8 * HOUR)), Scope::default()),
    };
    let ingest: Ingest = onion.parse().unwrap();
    let program = Program {
        metrics: Metrics::register(&registry).unwrap(),
        random: StdRng::seed_from_u64(life.seed),
        load: life.load,
        outages: life
            .outages
            .iter()
            .map(|(from, hours)| (HOUR * *from, HOUR * (from + hours)))
            .collect(),
        sent: Vec::new(),
    };
    // What was counted before the agent began.
    program.metrics.fast.inc_by(1_000_000_000);
    // Short intervals are many snapshots, and long batches are few cuts.
    let end = match (life.profile, life.interval) {
        (_, ..10) | (2, _) => HOUR * 2,
        (3, _) => HOUR * 30,
        _ => HOUR * 12,
    };
    let simulation = Simulation {
        schema: schema.clone(),
        profile,
        scope,
        ingest: ingest.clone(),
        seed: life.seed,
        end,
    };
    (schema, ingest, simulation.run(&registry, program).unwrap().sent)
}

/// How many points were judged.
fn is_believed(life: &Life) -> Result<usize, TestCaseError> {
    let (schema, ingest, sent) = sent(life);
    let mut random = StdRng::seed_from_u64(life.seed ^ 1);
    let mut arrivals: Vec<(Duration, Vec<u8>)> = Vec::new();
    for (at, body) in sent {
        for _ in 0..random.random_range(0..3) {
            arrivals.push((at + Duration::from_secs(random.random_range(0..500)), body.clone()));
        }
    }
    arrivals.sort();
    let hasher = RandomState::new();
    let mut plausible = Plausible::default();
    let (mut known, mut judged) = (HashSet::new(), 0);
    let parts = arrivals.len() / (life.restarts as usize + 1) + 1;
    for (number, (at, body)) in arrivals.into_iter().enumerate() {
        if number > 0 && number % parts == 0 {
            plausible = Plausible::default();
        }
        let unsealed = parcel::unseal(&body, &ingest.deployment).unwrap();
        if !known.insert(unsealed.id.0) {
            continue;
        }
        let points = unsealed.payload.decode().unwrap();
        let claims: Vec<Option<Claim>> = points
            .iter()
            .map(|point| {
                let reading = schema.read(point).unwrap();
                let declared = schema.declared(&point.measurement, &point.tags).unwrap();
                let slot = point.timestamp.unwrap().try_into().unwrap();
                Some(Claim::of(point, slot, &schema, (declared, &reading), None, &hasher))
            })
            .collect();
        judged += claims.len();
        let arrived = BEGIN + at;
        let claims =
            Claims { session: unsealed.session.id(), age: unsealed.age, arrived, points: claims };
        let impossible = plausible.judge(&claims, arrived);
        let told = impossible.iter().map(|it| (it.reason, &points[it.point])).collect::<Vec<_>>();
        prop_assert!(impossible.is_empty(), "at {at:?}: {told:?}\nof {points:?}");
    }
    Ok(judged)
}

#[test]
fn s3_no_agent_is_flagged_for_what_its_gate_let_through() {
    let mut judged = 0;
    let mut each = |life: &Life| {
        judged += is_believed(life)?;
        Ok(())
    };
    // One of each kind, far beyond what it declared.
    for (profile, interval) in [(0, 60), (1, 60), (2, 1), (3, 10), (3, 600)] {
        let life = Life { seed: 7, profile, interval, load: 9, outages: vec![(1, 1)], restarts: 1 };
        let believed: Result<(), TestCaseError> = each(&life);
        assert!(believed.is_ok(), "{life:?}: {believed:?}");
    }
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config =
        Config { cases: cases.unwrap_or(6), failure_persistence: None, ..Config::default() };
    // The closure is shared with the runner, which wants it by reference.
    let each = std::cell::RefCell::new(each);
    let outcome = TestRunner::new(config).run(&lives(), |life| (each.borrow_mut())(&life));
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    drop(each);
    assert!(judged > 10_000, "{judged} points were judged");
}
