//! Histograms: how the values of an interval are spread.
//!
//! Recording is a few atomic operations. Taking empties the histogram; every value recorded is in exactly one taking.
//! What is taken is consistent in itself even while others record: the count is that of the buckets, and the least, the
//! greatest and the sum lie where the buckets allow. A value whose recording overlaps with a taking may lend part of its
//! sum, and how extreme it is, to the interval before its own; nothing of the sum is lost.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::buckets;
use crate::cells::{Cells, redacted};
use crate::distribution::Distribution;
use crate::instrument::{Instrument, Live};
use crate::label::{Dimension, Label};
use crate::reading::Value;
use crate::{Kind, LabelDeclaration};

/// The distribution of whole numbers recorded in an interval.
///
/// Clones share it. With a label, `Histogram<Outcome>`, there is one for each of the label's values. Each takes about
/// 8 kB of memory, and as much again is allocated for the first negative number, if there ever is one.
pub struct Histogram<L = ()> {
    cells: Cells<HistogramCell, L>,
}

impl Histogram {
    /// Records a value.
    pub fn update(&self, value: i64) {
        self.cells.update((), |cell| cell.update(value));
    }

    /// Takes out what was recorded since the last taking. A registry does it at each reading.
    #[must_use]
    pub fn take(&self) -> Distribution {
        self.cells.at(()).map(HistogramCell::take).unwrap_or_default()
    }
}

impl<L: Label> Histogram<L> {
    /// Records a value under this label.
    pub fn update(&self, label: L, value: i64) {
        self.cells.update(label, |cell| cell.update(value));
    }

    /// Takes out what was recorded under this label since the last taking. A registry does it at each reading.
    #[must_use]
    pub fn take(&self, label: L) -> Distribution {
        self.cells.at(label).map(HistogramCell::take).unwrap_or_default()
    }
}

impl<L: Dimension> Instrument for Histogram<L> {
    const KIND: Kind = Kind::Histogram;
    const LABEL: Option<LabelDeclaration> = L::LABEL;
}

impl<L: Dimension> Live for Histogram<L> {
    fn values(&self, _elapsed: Duration) -> Vec<Option<Value>> {
        self.cells.iter().map(|cell| Some(Value::Histogram(cell.take()))).collect()
    }

    fn reset(&self) {
        self.cells.iter().for_each(HistogramCell::reset);
    }
}

impl<L: Dimension> Default for Histogram<L> {
    fn default() -> Self {
        Self { cells: Cells::default() }
    }
}

impl<L> Clone for Histogram<L> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone() }
    }
}

impl<L> fmt::Debug for Histogram<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "Histogram")
    }
}

/// One histogram; a timer has one too.
pub(crate) struct HistogramCell {
    /// Modulo 2^64; the buckets tell how often it went around.
    sum: AtomicI64,
    /// `i64::MAX` if nothing was recorded.
    min: AtomicI64,
    /// `i64::MIN` if nothing was recorded.
    max: AtomicI64,
    /// Counts of the buckets 0, 1, 2, …
    positive: Counts,
    /// Counts of the buckets 0 (never used), −1, −2, …; made for the first negative value.
    negative: OnceLock<Counts>,
}

impl HistogramCell {
    /// The bucket comes last: who sees a value counted also sees what it did to sum, min and max.
    pub(crate) fn update(&self, value: i64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.min.fetch_min(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
        let index = buckets::index(value);
        let counts =
            if index < 0 { self.negative.get_or_init(Counts::new) } else { &self.positive };
        counts.inc(index.unsigned_abs());
    }

    pub(crate) fn take(&self) -> Distribution {
        let mut buckets = Vec::new();
        if let Some(negative) = self.negative.get() {
            negative.take(|magnitude, count| {
                buckets.push((0_i32.saturating_sub_unsigned(magnitude), count))
            });
            buckets.reverse();
        }
        self.positive.take(|magnitude, count| {
            buckets.push((0_i32.saturating_add_unsigned(magnitude), count))
        });
        let (Some(&(first, _)), Some(&(last, _))) = (buckets.first(), buckets.last()) else {
            // What a recording under way has put in sum, min and max stays for the interval that counts it.
            return Distribution::default();
        };

        let min = clamp(self.min.swap(i64::MAX, Ordering::Relaxed), buckets::bounds(first));
        let max = clamp(self.max.swap(i64::MIN, Ordering::Relaxed), buckets::bounds(last));
        // In one bucket, a race may leave them in the wrong order.
        let (min, max) = (min.min(max), max.max(min));

        let recorded = self.sum.swap(0, Ordering::Relaxed);
        let sum = plausible_sum(recorded, &buckets, min, max);
        // What belongs to other intervals goes back; modulo 2^64, so that nothing is lost.
        self.sum.fetch_add(recorded.wrapping_sub(sum as i64), Ordering::Relaxed);

        let count = buckets.iter().map(|&(_, count)| count).fold(0, u64::saturating_add);
        let sum = sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Distribution { count, sum, min, max, buckets }
    }

    /// Forgets what was recorded, also what a recording under way has begun.
    pub(crate) fn reset(&self) {
        let _ = self.take();
        self.sum.store(0, Ordering::Relaxed);
        self.min.store(i64::MAX, Ordering::Relaxed);
        self.max.store(i64::MIN, Ordering::Relaxed);
    }
}

impl Default for HistogramCell {
    fn default() -> Self {
        Self {
            sum: AtomicI64::new(0),
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            positive: Counts::new(),
            negative: OnceLock::new(),
        }
    }
}

/// The sum of what the buckets count, from a sum that is right modulo 2^64 up to what races have moved.
///
/// The buckets and the extremes give an interval that the sum must lie in. Of all numbers equal to `recorded` modulo
/// 2^64 the one nearest to the middle of that interval is the sum, and if it lies outside, races have moved it.
fn plausible_sum(recorded: i64, buckets: &[(i32, u64)], min: i64, max: i64) -> i128 {
    let (mut lowest, mut highest) = (0_i128, 0_i128);
    for &(index, count) in buckets {
        let (lower, upper) = buckets::bounds(index);
        lowest += i128::from(lower.max(min)) * i128::from(count);
        highest += i128::from(upper.min(max)) * i128::from(count);
    }
    const TURN: i128 = 1 << 64;
    let recorded = i128::from(recorded);
    let turns = (lowest.midpoint(highest) - recorded + TURN / 2).div_euclid(TURN);
    (recorded + turns * TURN).clamp(lowest, highest)
}

fn clamp(value: i64, (lower, upper): (i64, i64)) -> i64 {
    value.clamp(lower, upper)
}

/// How many values fell into each bucket of one sign, by the magnitude of its index.
struct Counts(Box<[AtomicU64]>);

impl Counts {
    fn new() -> Self {
        Self((0..=buckets::SMALLEST.unsigned_abs()).map(|_| AtomicU64::new(0)).collect())
    }

    fn inc(&self, magnitude: u32) {
        // Always there: no index has a magnitude greater than that of the smallest.
        if let Some(count) = self.0.get(magnitude as usize) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    /// Empties all buckets and tells of those that weren't empty, the nearest to zero first.
    fn take(&self, mut taken: impl FnMut(u32, u64)) {
        for (magnitude, count) in (0..).zip(&self.0) {
            if count.load(Ordering::Relaxed) != 0 {
                taken(magnitude, count.swap(0, Ordering::Acquire));
            }
        }
    }
}
