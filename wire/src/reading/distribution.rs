//! A distribution as fields: sparse buckets on the wire, statistics in a database.

use undertone_instruments::{Distribution, buckets};

use super::{integer, put};
use crate::{FieldValue, Fields};

/// The percentiles of go-metrics' InfluxDB reporter.
const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];

/// `sum`, `min`, `max` and a field `b<index>` for each bucket that has values; nothing without any.
pub(super) fn write_buckets(distribution: &Distribution, fields: &mut Fields) {
    if distribution.count == 0 {
        return;
    }
    put(fields, "sum", distribution.sum);
    put(fields, "min", distribution.min);
    put(fields, "max", distribution.max);
    for (index, count) in &distribution.buckets {
        put(fields, &format!("b{index}"), *count);
    }
}

/// Takes out of `fields` what [`write_buckets`] wrote, where the buckets hold `delta` values.
pub(super) fn read_buckets(fields: &mut Fields, delta: i64) -> Option<Distribution> {
    let count = u64::try_from(delta).ok()?;
    if count == 0 {
        return Some(Distribution::default());
    }
    let sum = integer(fields, "sum")?;
    let (min, max) = (integer(fields, "min")?, integer(fields, "max")?);
    let mut buckets = Vec::with_capacity(fields.len());
    let mut total = 0_u64;
    for (key, value) in fields.iter() {
        let digits = key.strip_prefix('b')?;
        let index: i32 = digits.parse().ok()?;
        let (true, FieldValue::Unsigned(count @ 1..)) = (index.to_string() == digits, value) else {
            return None;
        };
        total = total.checked_add(*count)?;
        buckets.push((index, *count));
    }
    fields.clear();
    buckets.sort_unstable();
    let distribution = Distribution { count, sum, min, max, buckets };
    (total == count && agrees(&distribution)).then_some(distribution)
}

/// Whether extremes and sum are possible for these buckets, of which there is at least one.
fn agrees(distribution: &Distribution) -> bool {
    let Distribution { sum, min, max, buckets, .. } = distribution;
    let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else {
        return false;
    };
    let (low, high) = possible_sums(distribution);
    min <= max
        && buckets::index(*min) == *first
        && buckets::index(*max) == *last
        && (low..=high).contains(sum)
}

/// The least and the greatest sum that buckets and extremes allow; one that an `i64` can't hold is its
/// nearest end. They hold at most as many values as an `i64` can count, so nothing here overflows.
pub(super) fn possible_sums(distribution: &Distribution) -> (i64, i64) {
    let (mut least, mut most) = (0_i128, 0_i128);
    for (index, count) in &distribution.buckets {
        let (lower, upper) = buckets::bounds(*index);
        least += i128::from(lower.max(distribution.min)) * i128::from(*count);
        most += i128::from(upper.min(distribution.max)) * i128::from(*count);
    }
    let held = |sum: i128| {
        let nearest = if sum < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(sum).unwrap_or(nearest)
    };
    (held(least), held(most))
}

/// What go-metrics' reporter writes of a histogram, and `sum`.
pub(super) fn write_statistics(distribution: &Distribution, fields: &mut Fields) {
    if distribution.count == 0 {
        return;
    }
    put(fields, "sum", distribution.sum);
    put(fields, "min", distribution.min);
    put(fields, "max", distribution.max);
    put(fields, "mean", distribution.mean());
    put(fields, "stddev", distribution.stddev());
    put(fields, "variance", distribution.variance());
    for (key, share) in PERCENTILES {
        put(fields, key, distribution.percentile(share));
    }
}
