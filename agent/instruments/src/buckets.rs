//! The fixed buckets of every histogram: log-linear, base 2, sixteen to an octave.
//!
//! They are the same everywhere, so any two histograms can be merged. A bucket is named by a signed index: 0 is the
//! value zero, k > 0 holds positive values, −k the same values negated. Values from −31 to 31 have a bucket each.
//! Above, a bucket is at most 1/16 as wide as its smallest value is large, so its midpoint is within 1/32 of every
//! value in it. The index is found with bit operations alone.

/// Sub-buckets in an octave, as a power of two.
const SUB_BITS: u32 = 4;

/// Sub-buckets in an octave.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;

/// The largest index: that of [`i64::MAX`].
pub const LARGEST: i32 = 959;

/// The smallest index: that of [`i64::MIN`] alone, whose magnitude no positive value has.
pub const SMALLEST: i32 = -960;

/// The index of the bucket that holds `value`.
#[must_use]
pub fn index(value: i64) -> i32 {
    let magnitude = magnitude_index(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// The smallest and the largest value in a bucket, both inclusive.
///
/// An index outside [`SMALLEST`]`..=`[`LARGEST`] is taken as the nearest in it.
#[must_use]
pub fn bounds(index: i32) -> (i64, i64) {
    let index = index.clamp(SMALLEST, LARGEST);
    let (nearest, farthest) = magnitude_bounds(u64::from(index.unsigned_abs()));
    if index < 0 {
        (0_i64.saturating_sub_unsigned(farthest), 0_i64.saturating_sub_unsigned(nearest))
    } else {
        (0_i64.saturating_add_unsigned(nearest), 0_i64.saturating_add_unsigned(farthest))
    }
}

/// The middle of a bucket, within 1/32 of every value in it.
#[must_use]
pub fn midpoint(index: i32) -> f64 {
    let (lower, upper) = bounds(index);
    lower as f64 + (upper.abs_diff(lower)) as f64 / 2.0
}

fn magnitude_index(magnitude: u64) -> i32 {
    if magnitude < SUB_BUCKETS {
        return magnitude as i32;
    }
    // The leading one and the four bits after it choose the bucket; `shift` bits below are dropped.
    let shift = u64::BITS - 1 - magnitude.leading_zeros() - SUB_BITS;
    let leading_bits = magnitude >> shift;
    (u64::from(shift) * SUB_BUCKETS + leading_bits) as i32
}

/// The smallest and largest magnitude of a bucket. `index` is at most 960.
fn magnitude_bounds(index: u64) -> (u64, u64) {
    if index < SUB_BUCKETS {
        return (index, index);
    }
    let shift = index / SUB_BUCKETS - 1;
    let nearest = (index - shift * SUB_BUCKETS) << shift;
    (nearest, nearest + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_indexes() {
        let cases = [
            (0, 0),
            (1, 1),
            (31, 31),
            (32, 32),
            (33, 32),
            (34, 33),
            (63, 47),
            (64, 48),
            (-1, -1),
            (-33, -32),
            (i64::MAX, LARGEST),
            (-i64::MAX, -LARGEST),
            (i64::MIN, SMALLEST),
        ];
        for (value, expected) in cases {
            assert_eq!(index(value), expected, "index of {value}");
        }
    }

    #[test]
    fn buckets_cover_every_value_once() {
        let mut next = i128::from(i64::MIN);
        for bucket in SMALLEST..=LARGEST {
            let (lower, upper) = bounds(bucket);
            // The bucket of i64::MIN has only that value.
            assert_eq!(i128::from(lower), next, "bucket {bucket}");
            assert!(lower <= upper, "bucket {bucket}");
            assert_eq!((index(lower), index(upper)), (bucket, bucket));
            next = i128::from(upper) + 1;
        }
        assert_eq!(next, i128::from(i64::MAX) + 1);
    }

    #[test]
    fn indexes_outside_the_range_do_not_panic() {
        assert_eq!(bounds(i32::MAX), bounds(LARGEST));
        assert_eq!(bounds(i32::MIN), (i64::MIN, i64::MIN));
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bucket_and_near_its_midpoint(value: i64, narrowing in 0_u32..64) {
            let value = value >> narrowing;
            let (lower, upper) = bounds(index(value));
            prop_assert!(lower <= value && value <= upper);
            let error = (midpoint(index(value)) - value as f64).abs();
            prop_assert!(error <= value.unsigned_abs() as f64 / 32.0);
        }

        #[test]
        fn order_is_kept(a: i64, b: i64) {
            prop_assert_eq!(a < b, index(a) < index(b) || (index(a) == index(b) && a < b));
            prop_assert_eq!(index(a).cmp(&index(b)).then(a.cmp(&b)), a.cmp(&b));
        }
    }
}
