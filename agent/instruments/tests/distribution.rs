//! Distributions against exact computation on all the values, and against hdrhistogram.
//!
//! A failure would be: an error greater than is documented. Not a failure: any difference within 1/32.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use hdrhistogram::Histogram as HdrHistogram;
use proptest::collection::vec;
use proptest::prelude::*;
use undertone_instruments::{Distribution, Histogram};

const PERCENTILES: [f64; 6] = [0.5, 0.75, 0.95, 0.99, 0.999, 0.9999];

#[test]
fn one_to_a_hundred_as_in_go_metrics() {
    let distribution = distribution_of(&(1..=100).collect::<Vec<_>>());
    assert_eq!((distribution.count, distribution.sum), (100, 5050));
    assert_eq!((distribution.min, distribution.max), (1, 100));
    assert_eq!(distribution.mean(), 50.5);
    let cases = [
        (distribution.stddev(), 833.25_f64.sqrt()),
        (distribution.percentile(0.5), 50.5),
        (distribution.percentile(0.75), 75.75),
        (distribution.percentile(0.99), 99.99),
    ];
    for (estimate, exact) in cases {
        assert!((estimate - exact).abs() <= exact / 32.0, "{estimate} for {exact}");
    }
}

#[test]
fn small_numbers_are_exact() {
    let distribution = distribution_of(&[1, 2, 3, 4, 5, 31, -31]);
    assert_eq!(distribution.percentile(0.5), 3.0);
    assert_eq!(distribution.percentile(0.3125), 1.5);
    assert_eq!(distribution.percentile(0.0), -31.0);
    assert_eq!(distribution.percentile(1.0), 31.0);
    // Up to the rounding of another order of addition.
    assert!((distribution.variance() - exact_variance(&[1, 2, 3, 4, 5, 31, -31])).abs() < 1e-9);
}

#[test]
fn an_empty_distribution_is_all_zeros() {
    let empty = distribution_of(&[]);
    assert_eq!(empty, Distribution::default());
    assert_eq!(
        (empty.mean(), empty.variance(), empty.stddev(), empty.percentile(0.99)),
        (0.0, 0.0, 0.0, 0.0)
    );
}

#[test]
fn odd_percentiles_do_not_panic() {
    let distribution = distribution_of(&[-1_000_000, 0, 1_000_000]);
    for (p, expected) in [
        (f64::NAN, -1_000_000.0),
        (f64::NEG_INFINITY, -1_000_000.0),
        (-1.0, -1_000_000.0),
        (2.0, 1_000_000.0),
        (f64::INFINITY, 1_000_000.0),
    ] {
        assert_eq!(distribution.percentile(p), expected, "percentile {p}");
    }
}

#[test]
fn what_was_filled_in_by_hand_wrongly_does_not_panic() {
    let wrong = Distribution {
        count: u64::MAX,
        sum: i64::MIN,
        min: i64::MAX,
        max: i64::MIN,
        buckets: vec![(i32::MAX, u64::MAX), (i32::MIN, u64::MAX)],
    };
    let mut merged = wrong.clone();
    merged.merge(&wrong);
    let _ = (merged.mean(), merged.variance(), merged.stddev(), merged.percentile(0.5));
}

#[test]
fn sums_beyond_64_bits_stop_at_the_end() {
    let most = distribution_of(&[i64::MAX, i64::MAX, i64::MAX]);
    assert_eq!((most.count, most.sum), (3, i64::MAX));
    let least = distribution_of(&[i64::MIN; 5]);
    assert_eq!((least.sum, least.min, least.max), (i64::MIN, i64::MIN, i64::MIN));
    // On the way beyond and back again, nothing is lost.
    assert_eq!(distribution_of(&[i64::MAX, i64::MAX, i64::MIN, i64::MIN + 3]).sum, 1);
}

proptest! {
    #[test]
    fn count_sum_and_extremes_are_exact(values in vec(any_size(), 0..300)) {
        let distribution = distribution_of(&values);
        let sum: i128 = values.iter().copied().map(i128::from).sum();
        prop_assert_eq!(distribution.count, values.len() as u64);
        prop_assert_eq!(i128::from(distribution.sum), sum.clamp(i64::MIN.into(), i64::MAX.into()));
        prop_assert_eq!(distribution.min, values.iter().copied().min().unwrap_or(0));
        prop_assert_eq!(distribution.max, values.iter().copied().max().unwrap_or(0));
    }

    #[test]
    fn merging_is_recording_together(a in vec(moderate(), 0..100), b in vec(moderate(), 0..100)) {
        let (mut left, right) = (distribution_of(&a), distribution_of(&b));
        let mut other_way = right.clone();
        other_way.merge(&left);
        left.merge(&right);
        prop_assert_eq!(&left, &distribution_of(&[a, b].concat()));
        prop_assert_eq!(left, other_way);
    }

    #[test]
    fn percentiles_are_those_of_go_metrics_within_a_32nd(
        values in vec(0..i64::MAX / 1_000_000, 1..300),
        p in 0.0..1.0_f64,
    ) {
        let distribution = distribution_of(&values);
        for p in PERCENTILES.into_iter().chain([p]) {
            let exact = exact_percentile(&values, p);
            let estimate = distribution.percentile(p);
            prop_assert!((estimate - exact).abs() <= exact / 32.0 + 1e-6, "p{p}: {estimate} for {exact}");
        }
    }

    #[test]
    fn percentiles_of_both_signs_are_within_a_32nd_of_the_greater_neighbour(
        values in vec(moderate(), 1..300),
        p in 0.0..1.0_f64,
    ) {
        let distribution = distribution_of(&values);
        let (lower, upper, exact) = exact_neighbours(&values, p);
        let error = (distribution.percentile(p) - exact).abs();
        prop_assert!(error <= lower.abs().max(upper.abs()) / 32.0 + 1e-6, "{error}");
    }

    #[test]
    fn the_standard_deviation_is_within_a_32nd_of_the_root_mean_square(values in vec(moderate(), 1..300)) {
        let squares: f64 = values.iter().map(|&value| (value as f64).powi(2)).sum();
        let root_mean_square = (squares / values.len() as f64).sqrt();
        let error = (distribution_of(&values).stddev() - exact_variance(&values).sqrt()).abs();
        prop_assert!(error <= root_mean_square / 32.0 + 1e-6, "{error}");
    }

    #[test]
    fn percentiles_agree_with_hdrhistogram(values in vec(1..3_600_000_000_000_i64, 1..500)) {
        let mut oracle = HdrHistogram::<u64>::new(3).unwrap();
        for &value in &values {
            oracle.record(value as u64).unwrap();
        }
        let distribution = distribution_of(&values);
        let count = values.len() as f64;
        for p in PERCENTILES {
            // The oracle doesn't interpolate: ours lies between its values at the two ranks.
            let rank = (p * (count + 1.0)).clamp(1.0, count);
            let at = |rank: f64| oracle.value_at_quantile((rank - 0.5) / count) as f64;
            let tolerance = 1.0 / 32.0 + 1.0 / 1_000.0;
            let estimate = distribution.percentile(p);
            prop_assert!(estimate >= at(rank.floor()) * (1.0 - tolerance), "p{p}: {estimate}");
            prop_assert!(estimate <= at(rank.ceil()) * (1.0 + tolerance), "p{p}: {estimate}");
        }
        prop_assert!((distribution.mean() / oracle.mean() - 1.0).abs() < 1.0 / 1_000.0);
    }
}

/// Any number, small ones as often as great ones.
fn any_size() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0_u32..64).prop_map(|(value, narrowing)| value >> narrowing)
}

/// As `any_size`, but some hundred of them can be summed.
fn moderate() -> impl Strategy<Value = i64> {
    (any::<i64>(), 12_u32..64).prop_map(|(value, narrowing)| value >> narrowing)
}

fn distribution_of(values: &[i64]) -> Distribution {
    let histogram: Histogram = Histogram::default();
    values.iter().for_each(|&value| histogram.update(value));
    histogram.take()
}

fn exact_percentile(values: &[i64], p: f64) -> f64 {
    exact_neighbours(values, p).2
}

/// The values at the two ranks around a percentile, and what go-metrics makes of them.
fn exact_neighbours(values: &[i64], p: f64) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (p * (sorted.len() as f64 + 1.0)).clamp(1.0, sorted.len() as f64);
    let (lower, upper) =
        (sorted[rank.floor() as usize - 1] as f64, sorted[rank.ceil() as usize - 1] as f64);
    (lower, upper, lower + rank.fract() * (upper - lower))
}

fn exact_variance(values: &[i64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().copied().map(i128::from).sum::<i128>() as f64 / count;
    values.iter().map(|&value| (value as f64 - mean).powi(2)).sum::<f64>() / count
}
