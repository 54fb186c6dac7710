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

    /// With every number rounded to `digits`, and no value outside of the range for that.
    #[must_use]
    pub(crate) fn rounded(&self, digits: Digits, range: Option<[f64; 2]>) -> Self {
        if digits == Digits::All {
            return self.clone();
        }
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

impl Rates {
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
