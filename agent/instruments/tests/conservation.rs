//! Nothing that is recorded is lost or counted twice, while many threads record and another reads.
//!
//! A failure would be: a total that differs from what was recorded, or a distribution that contradicts itself. Not a
//! failure: how the values are divided among the readings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use undertone_instruments::{
    Distribution, Histogram, Instruments, Registry, Timer, Value, buckets, instruments, label,
};

const THREADS: usize = 4;
const UPDATES: i64 = 20_000;

#[test]
fn every_value_is_in_exactly_one_taking() {
    let histogram: Histogram = Histogram::default();
    let at_work = AtomicUsize::new(THREADS);
    let mut total = Distribution::default();
    let mut sum = 0_i128;
    thread::scope(|scope| {
        for seed in 0..THREADS as i64 {
            let (histogram, at_work) = (histogram.clone(), &at_work);
            scope.spawn(move || {
                values(seed).for_each(|value| histogram.update(value));
                at_work.fetch_sub(1, Ordering::Release);
            });
        }
        loop {
            let finished = at_work.load(Ordering::Acquire) == 0;
            let taken = histogram.take();
            assert_consistent(&taken);
            sum += i128::from(taken.sum);
            total.merge(&taken);
            if finished {
                break;
            }
        }
    });

    let expected: Histogram = Histogram::default();
    (0..THREADS as i64).flat_map(values).for_each(|value| expected.update(value));
    let expected = expected.take();
    assert_eq!(total.count, THREADS as u64 * UPDATES as u64);
    assert_eq!(total.buckets, expected.buckets);
    assert_eq!(histogram.take(), Distribution::default());

    // What races moved is claimed by the next values whose buckets leave room for it.
    let (lower, upper) = buckets::bounds(buckets::index(1 << 60));
    histogram.update(lower);
    histogram.update(upper);
    sum += i128::from(histogram.take().sum) - i128::from(lower) - i128::from(upper);
    assert_eq!(sum, i128::from(expected.sum));
}

#[test]
fn counters_meters_and_timers_lose_nothing() {
    let registry = Registry::new();
    let m = Metrics::register(&registry).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let m = m.clone();
            scope.spawn(move || {
                for n in 0..UPDATES {
                    m.up_and_down.inc_by(3);
                    m.up_and_down.dec();
                    m.open.inc();
                    m.events.mark(if n % 4 == 0 { Outcome::Failed } else { Outcome::Ok });
                    m.latency.update(Duration::from_nanos(5));
                    m.open.dec();
                }
            });
        }
        let registry = registry.clone();
        scope.spawn(move || (0..100).for_each(|_| registry.tick()));
    });

    let recorded = THREADS as i64 * UPDATES;
    assert_eq!(m.up_and_down.count(), 2 * recorded);
    assert_eq!(m.open.value(), 0);
    assert_eq!(m.events.count(Outcome::Ok), recorded / 4 * 3);
    assert_eq!(m.events.count(Outcome::Failed), recorded / 4);
    let readings = registry.read(Duration::from_secs(1));
    let Value::Timer { rates, distribution } = &readings.last().unwrap().value else {
        panic!("the timer comes last");
    };
    assert_eq!(
        (rates.count, distribution.count as i64, distribution.sum),
        (recorded, recorded, 5 * recorded)
    );
}

#[test]
fn handles_cross_threads() {
    fn is_shareable<T: Clone + Send + Sync + 'static>() {}
    fn is_movable<T: Send + 'static>(_: T) {}
    is_shareable::<Metrics>();
    is_shareable::<Registry>();
    let timer: Timer = Timer::default();
    is_movable(timer.start());
}

label! {
    enum Outcome in "outcome" { Ok = "ok", Failed = "failed" }
}

instruments! {
    struct Metrics in "conservation" {
        /// Up by three, down by one.
        up_and_down: Counter,
        /// Turns under way.
        open: Gauge<i64> { linkable },
        /// Turns, by outcome.
        events: Meter<Outcome>,
        /// Always five nanoseconds.
        latency: Timer,
    }
}

/// Values of all sizes and both signs, the same for each seed.
fn values(seed: i64) -> impl Iterator<Item = i64> {
    (0..UPDATES).map(move |n| {
        let mixed = (n + seed * UPDATES).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64);
        mixed >> (24 + n % 40)
    })
}

fn assert_consistent(taken: &Distribution) {
    assert_eq!(taken.count, taken.buckets.iter().map(|&(_, count)| count).sum::<u64>());
    assert!(taken.buckets.is_sorted_by(|(a, _), (b, _)| a < b), "{taken:?}");
    if let (Some(&(first, _)), Some(&(last, _))) = (taken.buckets.first(), taken.buckets.last()) {
        assert_eq!((buckets::index(taken.min), buckets::index(taken.max)), (first, last));
        assert!(taken.min <= taken.max);
        let mean = taken.mean();
        assert!(taken.min as f64 <= mean && mean <= taken.max as f64, "{mean} in {taken:?}");
    } else {
        assert_eq!(taken, &Distribution::default());
    }
}
