//! What a histogram held in an interval: count, sum, extremes and sparse buckets. Pure arithmetic.
//!
//! Distributions of different intervals and machines can be merged, and give the same as if all values had been
//! recorded in one histogram. Count, sum, min and max are exact; what is computed from the buckets is within 1/32 of
//! what the values themselves would give.

use crate::buckets;

/// The values of an interval.
///
/// Whoever fills one in by hand keeps the buckets ascending and the count their total; otherwise the results mean
/// nothing, but nothing panics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their sum, at most what an `i64` holds (for durations in nanoseconds: 292 years).
    pub sum: i64,
    /// The smallest value; 0 if there are none.
    pub min: i64,
    /// The greatest value; 0 if there are none.
    pub max: i64,
    /// [Bucket](crate::buckets) and how many values are in it; ascending, without empty ones.
    pub buckets: Vec<(i32, u64)>,
}

impl Distribution {
    /// Takes in the values of another distribution.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        for &(index, count) in &other.buckets {
            match self.buckets.binary_search_by_key(&index, |&(index, _)| index) {
                Ok(position) => {
                    if let Some(bucket) = self.buckets.get_mut(position) {
                        bucket.1 = bucket.1.saturating_add(count);
                    }
                }
                Err(position) => self.buckets.insert(position, (index, count)),
            }
        }
    }

    /// The arithmetic mean; exact, and 0 if there are no values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The variance of the values, taken as the whole population (as go-metrics does); 0 if there are none.
    ///
    /// Its root is within 1/32 of the values' root mean square of the exact [`stddev`](Self::stddev).
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean();
        let squares = |&(index, count): &(i32, u64)| {
            let deviation = self.representative(index) - mean;
            deviation * deviation * count as f64
        };
        self.buckets.iter().map(squares).sum::<f64>() / self.count as f64
    }

    /// The standard deviation, the root of [`variance`](Self::variance).
    #[must_use]
    pub fn stddev(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The value below which the fraction `p` of all values lies: 0.5 for the median, 0.99, 0.999 and so on.
    ///
    /// As in go-metrics the rank is p·(count + 1), and between two ranks it is interpolated. The result is within 1/32
    /// of what go-metrics would give on all the values; the first and the last rank are exact. 0 if there are no values.
    #[must_use]
    pub fn percentile(&self, p: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let rank = p * (self.count as f64 + 1.0);
        if rank.is_nan() || rank < 1.0 {
            return self.min as f64;
        }
        if rank >= self.count as f64 {
            return self.max as f64;
        }
        let below = rank.floor();
        let lower = self.value_at_rank(below as u64);
        let upper = self.value_at_rank(below as u64 + 1);
        lower + (rank - below) * (upper - lower)
    }

    /// An estimate of the value that `rank` values, itself included, don't exceed. The first rank is 1.
    fn value_at_rank(&self, rank: u64) -> f64 {
        if rank <= 1 {
            return self.min as f64;
        }
        if rank >= self.count {
            return self.max as f64;
        }
        let mut seen = 0_u64;
        for &(index, count) in &self.buckets {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return self.representative(index);
            }
        }
        self.max as f64
    }

    /// The middle of a bucket, or of what of it lies between the extremes.
    fn representative(&self, index: i32) -> f64 {
        buckets::midpoint(index).max(self.min as f64).min(self.max as f64)
    }
}
