//! A reading made coarse: values within a range, numbers rounded to significant digits.
//!
//! A distribution stays one that a proxy takes: counts that add up, extremes in the outermost buckets, a
//! sum that is possible. Both do nothing to what they have been done to before, so that a proxy can check
//! them by doing them again.

use std::collections::BTreeMap;

use undertone_instruments::{Distribution, buckets};

use super::{Rates, Reading, distribution::possible_sums};
use crate::schema::{
    Digits,
    digits::{self, Towards},
};

impl Reading {
    /// With every value below the range as its least, and every value above as its greatest. What counts
    /// events has no values.
    #[must_use]
    pub(crate) fn within(&self, [least, greatest]: [f64; 2]) -> Self {
        // The ends of a range of whole values are whole, and small enough for a float to hold exactly.
        let whole = [least as i64, greatest as i64];
        match self {
            Self::GaugeInteger(value) => Self::GaugeInteger((*value).clamp(whole[0], whole[1])),
            Self::GaugeFloat(value) => Self::GaugeFloat(value.clamp(least, greatest)),
            Self::Histogram { count, distribution } => {
                Self::Histogram { count: *count, distribution: within(distribution, whole) }
            }
            Self::Timer { rates, distribution } => {
                Self::Timer { rates: *rates, distribution: within(distribution, whole) }
            }
            Self::Counter { .. } | Self::Meter(_) => self.clone(),
        }
    }

    /// With every number rounded to `digits`, and no value outside of the range for that. The sum of a
    /// distribution becomes possible, even where merging has cut it off at 64 bits.
    #[must_use]
    pub(crate) fn rounded(&self, digits: Digits, range: Option<[f64; 2]>) -> Self {
        let nearest = |value| digits::integer(value, digits, Towards::Nearest);
        let whole =
            range.map_or([i64::MIN, i64::MAX], |[least, greatest]| [least as i64, greatest as i64]);
        match self {
            Self::Counter { count, delta } => {
                Self::Counter { count: nearest(*count), delta: nearest(*delta) }
            }
            Self::GaugeInteger(value) => {
                Self::GaugeInteger(nearest(*value).clamp(whole[0], whole[1]))
            }
            Self::GaugeFloat(value) => {
                let rounded = digits::float(*value, digits);
                Self::GaugeFloat(range.map_or(rounded, |[least, most]| rounded.clamp(least, most)))
            }
            Self::Meter(rates) => Self::Meter(rates.rounded(digits, rates.delta)),
            Self::Histogram { count, distribution } => Self::Histogram {
                count: nearest(*count),
                distribution: rounded(distribution, digits, whole),
            },
            Self::Timer { rates, distribution } => {
                let distribution = rounded(distribution, digits, whole);
                // What the buckets hold is what a timer's `delta` must be.
                let delta = i64::try_from(distribution.count).unwrap_or(i64::MAX);
                let rates = Rates { delta, ..rates.rounded(digits, rates.delta) };
                Self::Timer { rates, distribution }
            }
        }
    }
}

impl Reading {
    /// With at most so many events in the interval, either way, and rates of at most so many a second.
    /// A distribution keeps its shape.
    #[must_use]
    pub(crate) fn bounded(&self, events: i64, per_second: f64) -> Self {
        let least = events.saturating_neg();
        match self {
            Self::Counter { count, delta } => {
                Self::Counter { count: *count, delta: (*delta).clamp(least, events) }
            }
            Self::Meter(rates) => {
                let delta = rates.delta.clamp(least, events);
                Self::Meter(Rates { delta, ..rates.bounded(per_second) })
            }
            Self::Histogram { count, distribution } => {
                Self::Histogram { count: *count, distribution: fewer(distribution, events) }
            }
            Self::Timer { rates, distribution } => {
                let distribution = fewer(distribution, events);
                let delta = i64::try_from(distribution.count).unwrap_or(i64::MAX);
                Self::Timer { rates: Rates { delta, ..rates.bounded(per_second) }, distribution }
            }
            Self::GaugeInteger(_) | Self::GaugeFloat(_) => self.clone(),
        }
    }
}

impl Rates {
    fn bounded(&self, per_second: f64) -> Self {
        let bounded = |rate: f64| rate.clamp(-per_second, per_second);
        let [m1, m5, m15, mean] = [self.m1, self.m5, self.m15, self.mean].map(bounded);
        Self { m1, m5, m15, mean, ..*self }
    }

    fn rounded(&self, digits: Digits, delta: i64) -> Self {
        let nearest = |value| digits::integer(value, digits, Towards::Nearest);
        Self {
            count: nearest(self.count),
            delta: nearest(delta),
            m1: digits::float(self.m1, digits),
            m5: digits::float(self.m5, digits),
            m15: digits::float(self.m15, digits),
            mean: digits::float(self.mean, digits),
        }
    }
}

/// What lies outside goes into the buckets of the range's ends. The sum is then that of the buckets'
/// middles: how far outside single values were isn't known.
fn within(distribution: &Distribution, [least, greatest]: [i64; 2]) -> Distribution {
    if distribution.count == 0 || least <= distribution.min && distribution.max <= greatest {
        return distribution.clone();
    }
    let [first, last] = [buckets::index(least), buckets::index(greatest)];
    let mut within: BTreeMap<i32, u64> = BTreeMap::new();
    for (index, count) in &distribution.buckets {
        let held = within.entry((*index).clamp(first, last)).or_default();
        *held = held.saturating_add(*count);
    }
    let mut result = Distribution {
        count: distribution.count,
        sum: 0,
        min: distribution.min.clamp(least, greatest),
        max: distribution.max.clamp(least, greatest),
        buckets: within.into_iter().collect(),
    };
    let middle = |index| buckets::midpoint(index).clamp(result.min as f64, result.max as f64);
    let sum: f64 = result.buckets.iter().map(|(index, n)| middle(*index) * *n as f64).sum();
    let (low, high) = possible_sums(&result);
    result.sum = (sum as i64).clamp(low, high);
    result
}

/// At most so many values, of each bucket as large a share as before, rounded down.
fn fewer(distribution: &Distribution, most: i64) -> Distribution {
    let most = most.unsigned_abs();
    if distribution.count <= most {
        return distribution.clone();
    }
    let share = |count: u64| u128::from(count) * u128::from(most) / u128::from(distribution.count);
    let buckets = distribution.buckets.iter();
    // A share of a `u64` is one.
    let held = buckets.map(|(index, count)| (*index, u64::try_from(share(*count)).unwrap_or(most)));
    let buckets: Vec<(i32, u64)> = held.filter(|(_, count)| *count > 0).collect();
    let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else {
        return Distribution::default();
    };
    let (lower, upper) = (buckets::bounds(*first).0, buckets::bounds(*last).1);
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    let mut result = Distribution {
        count,
        sum: 0,
        min: distribution.min.max(lower),
        max: distribution.max.min(upper),
        buckets,
    };
    let (low, high) = possible_sums(&result);
    let sum = i128::from(distribution.sum) * i128::from(count) / i128::from(distribution.count);
    result.sum = i64::try_from(sum).unwrap_or(low).clamp(low, high);
    result
}

/// Each bucket's count is rounded by itself, and their sum is the count; extremes are rounded outwards, but
/// stay in their buckets; the sum is rounded, and stays possible.
fn rounded(
    distribution: &Distribution,
    digits: Digits,
    [least, greatest]: [i64; 2],
) -> Distribution {
    let (Some((first, _)), Some((last, _))) =
        (distribution.buckets.first(), distribution.buckets.last())
    else {
        return distribution.clone();
    };
    let counts = |towards| {
        let rounded = distribution
            .buckets
            .iter()
            .map(|(index, count)| (*index, digits::unsigned(*count, digits, towards)));
        let buckets: Vec<(i32, u64)> = rounded.collect();
        let count = buckets.iter().try_fold(0_i64, |sum, (_, n)| sum.checked_add_unsigned(*n));
        count.map(|count| (count.unsigned_abs(), buckets))
    };
    // Rounded down there are no more of them than there were.
    let rounded = counts(Towards::Nearest).or_else(|| counts(Towards::Down));
    let (count, held) = rounded.unwrap_or((distribution.count, distribution.buckets.clone()));
    let (lower, upper) = (buckets::bounds(*first).0, buckets::bounds(*last).1);
    let mut result = Distribution {
        count,
        sum: 0,
        min: digits::integer(distribution.min, digits, Towards::Down).max(lower).max(least),
        max: digits::integer(distribution.max, digits, Towards::Up).min(upper).min(greatest),
        buckets: held,
    };
    result.sum = rounded_sum(distribution.sum, digits, possible_sums(&result));
    result
}

/// The rounded sum, or the nearest possible that is rounded; where there is none, the middle of what is
/// possible.
fn rounded_sum(sum: i64, digits: Digits, (low, high): (i64, i64)) -> i64 {
    let possible = low..=high;
    let candidates = [
        digits::integer(sum, digits, Towards::Nearest),
        digits::integer(sum.clamp(low, high), digits, Towards::Nearest),
        digits::integer(low, digits, Towards::Up),
        digits::integer(high, digits, Towards::Down),
    ];
    let rounded = candidates.into_iter().find(|sum| possible.contains(sum));
    rounded.unwrap_or_else(|| low.midpoint(high))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use undertone_instruments::Histogram;

    use super::*;
    use crate::schema::{Kind, Measurement};

    fn distribution(values: &[i64]) -> Distribution {
        let histogram: Histogram = Histogram::default();
        values.iter().for_each(|value| histogram.update(*value));
        histogram.take()
    }

    /// Values of all sizes, repeated so often that their buckets' counts are rounded.
    fn distributions() -> impl Strategy<Value = Distribution> {
        let value = (any::<i64>(), 0_u32..64).prop_map(|(value, narrowing)| value >> narrowing);
        let buckets = prop::collection::vec((value, 0_u32..63), 0..20);
        buckets.prop_map(|values| {
            let mut all = Distribution::default();
            for (value, times) in values {
                let mut one = distribution(&[value]);
                let times = (i64::MAX as u64 / 128) >> times | 1;
                one.count = times;
                one.buckets.iter_mut().for_each(|bucket| bucket.1 = times);
                let sum = i128::from(value) * i128::from(times);
                one.sum = sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                all.merge(&one);
            }
            // Sums that were cut off are none that could have been.
            if all.count > 0 {
                let (low, high) = possible_sums(&all);
                all.sum = all.sum.clamp(low, high);
            }
            all
        })
    }

    fn rates() -> impl Strategy<Value = Rates> {
        let rate = || (-1e9..1e9_f64, -12..12).prop_map(|(rate, power)| rate * 10_f64.powi(power));
        (any::<i64>(), any::<i64>(), rate(), rate(), rate(), rate())
            .prop_map(|(count, delta, m1, m5, m15, mean)| Rates { count, delta, m1, m5, m15, mean })
    }

    fn readings() -> impl Strategy<Value = Reading> {
        prop_oneof![
            (any::<i64>(), any::<i64>()).prop_map(|(count, delta)| Reading::counter(count, delta)),
            any::<i64>().prop_map(Reading::GaugeInteger),
            (-1e300..1e300_f64).prop_map(Reading::GaugeFloat),
            rates().prop_map(Reading::Meter),
            (any::<i64>(), distributions()).prop_map(|(n, values)| Reading::histogram(n, values)),
            (rates(), distributions()).prop_map(|(rates, values)| {
                let delta = values.count as i64;
                Reading::timer(Rates { delta, ..rates }, values)
            }),
        ]
    }

    fn measurements() -> impl Strategy<Value = Measurement> {
        let digits = prop_oneof![Just(Digits::All), (1..=Digits::LIMIT).prop_map(Digits::Rounded)];
        let range = prop::option::of((-1_000_000..1_000_000_i64, 1..1_000_000_000_i64));
        (digits, range).prop_map(|(digits, range)| Measurement {
            digits,
            range: range.map(|(least, width)| [least as f64, (least + width) as f64]),
            ..Measurement::new("any", Kind::Counter, "Any.")
        })
    }

    proptest! {
        #[test]
        fn p11_what_the_gate_makes_coarse_the_proxy_takes(
            measurement in measurements(), readings in prop::collection::vec(readings(), 1..4),
        ) {
            let mut merged = measurement.coarsen(&readings[0]);
            readings[1..].iter().for_each(|later| merged.absorb(&measurement.coarsen(later)));
            let left = measurement.precision().round(&merged);
            let read = Reading::from_fields(left.kind(), &left.fields());
            prop_assert_eq!(read.as_ref(), Some(&left), "agrees with itself");
            prop_assert_eq!(measurement.check_coarseness(&left), Ok(()));
        }

        #[test]
        fn a_rounded_distribution_is_near_the_truth(
            values in prop::collection::vec(0..1_000_000_i64, 1..200), digits in 1_u8..4,
        ) {
            let reading = Reading::histogram(values.len() as i64, distribution(&values));
            let Reading::Histogram { distribution: left, .. } = reading.rounded(Digits::Rounded(digits), None)
            else { unreachable!() };
            let bound = 0.5 * 10_f64.powi(1 - i32::from(digits));
            let near = |left: f64, truth: f64, slack: f64| (left - truth).abs() <= truth * (bound + slack) + 1e-6;
            prop_assert!(near(left.count as f64, values.len() as f64, 0.0));
            // It must also be possible for the rounded counts, of buckets that are 1/16 wide.
            let truth: i64 = values.iter().sum();
            prop_assert!(near(left.sum as f64, truth as f64, bound + 1.0 / 16.0), "{left:?} of {truth}");
            prop_assert!(left.min <= *values.iter().min().unwrap());
            prop_assert!(left.max >= *values.iter().max().unwrap());
        }
    }

    #[test]
    fn p11_sums_of_what_was_rounded_are_near_the_truth() {
        let (mut sum, mut left) = (0, 0);
        for delta in 1..100_000 {
            let reading = Reading::counter(delta, delta).rounded(Digits::default(), None);
            let Reading::Counter { delta: rounded, .. } = reading else { panic!() };
            assert!((rounded - delta).abs() * 20 <= delta, "{delta} is off by more than 5 %");
            sum += delta;
            left += rounded;
        }
        assert!((left - sum).abs() * 1_000 <= sum, "{left} is off {sum} by more than 0.1 %");
    }

    #[test]
    fn p11_each_number_of_a_distribution_is_rounded_and_they_agree() {
        // 1,049 values in the bucket of 992 to 1,023, of which 1,000 and 1,010 are.
        let values: Vec<i64> = (0..1_049).map(|n| if n % 2 == 0 { 1_000 } else { 1_010 }).collect();
        let reading = Reading::histogram(12_345, distribution(&values));
        let Reading::Histogram { count, distribution } = reading.rounded(Digits::Rounded(2), None)
        else {
            panic!()
        };
        assert_eq!((count, distribution.count), (12_000, 1_000));
        assert_eq!(
            (distribution.min, distribution.max),
            (1_000, 1_023),
            "as far as the bucket goes"
        );
        assert_eq!(
            distribution.sum, 1_000_000,
            "1,054,240 would be too much for a thousand values"
        );
    }

    #[test]
    fn values_out_of_range_are_told_as_its_ends() {
        let reading = Reading::histogram(5, distribution(&[-7, 3, 20, 1_000, 1 << 60]));
        let Reading::Histogram { distribution: left, .. } = reading.within([0.0, 20.0]) else {
            panic!()
        };
        assert_eq!(left, distribution(&[0, 3, 20, 20, 20]));
        assert_eq!(Reading::GaugeInteger(-1).within([0.0, 9.0]), Reading::GaugeInteger(0));
        assert_eq!(Reading::GaugeFloat(1e9).within([0.0, 0.5]), Reading::GaugeFloat(0.5));
        assert_eq!(Reading::counter(9, 9).within([0.0, 1.0]), Reading::counter(9, 9));
    }
}
