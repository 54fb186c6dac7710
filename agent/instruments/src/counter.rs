//! Counters: how many, up and down.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::cells::{Cells, redacted};
use crate::instrument::{Instrument, Live};
use crate::label::{Dimension, Label};
use crate::reading::Value;
use crate::{Kind, LabelDeclaration};

/// A whole number that goes up and down; it wraps around at the ends of `i64`.
///
/// Clones share the number. With a label, `Counter<Outcome>`, there is one for each of the label's values.
pub struct Counter<L = ()> {
    cells: Cells<CounterCell, L>,
}

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds `n`.
    pub fn inc_by(&self, n: i64) {
        self.cells.update((), |cell| cell.add(n));
    }

    /// Subtracts one.
    pub fn dec(&self) {
        self.dec_by(1);
    }

    /// Subtracts `n`.
    pub fn dec_by(&self, n: i64) {
        self.inc_by(n.wrapping_neg());
    }

    /// Sets the count to zero.
    pub fn clear(&self) {
        self.cells.update((), CounterCell::clear);
    }

    /// The count since creation, or since it was last cleared.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.cells.at(()).map_or(0, CounterCell::count)
    }
}

impl<L: Label> Counter<L> {
    /// Adds one under this label.
    pub fn inc(&self, label: L) {
        self.inc_by(label, 1);
    }

    /// Adds `n` under this label.
    pub fn inc_by(&self, label: L, n: i64) {
        self.cells.update(label, |cell| cell.add(n));
    }

    /// Subtracts one under this label.
    pub fn dec(&self, label: L) {
        self.dec_by(label, 1);
    }

    /// Subtracts `n` under this label.
    pub fn dec_by(&self, label: L, n: i64) {
        self.inc_by(label, n.wrapping_neg());
    }

    /// Sets the count under this label to zero.
    pub fn clear(&self, label: L) {
        self.cells.update(label, CounterCell::clear);
    }

    /// The count under this label since creation, or since it was last cleared.
    #[must_use]
    pub fn count(&self, label: L) -> i64 {
        self.cells.at(label).map_or(0, CounterCell::count)
    }
}

impl<L: Dimension> Instrument for Counter<L> {
    const KIND: Kind = Kind::Counter;
    const LABEL: Option<LabelDeclaration> = L::LABEL;
}

impl<L: Dimension> Live for Counter<L> {
    fn values(&self, _elapsed: Duration) -> Vec<Option<Value>> {
        self.cells.iter().map(|cell| Some(Value::Counter { count: cell.count() })).collect()
    }

    fn reset(&self) {
        self.cells.iter().for_each(CounterCell::clear);
    }
}

impl<L: Dimension> Default for Counter<L> {
    fn default() -> Self {
        Self { cells: Cells::default() }
    }
}

impl<L> Clone for Counter<L> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone() }
    }
}

impl<L> fmt::Debug for Counter<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "Counter")
    }
}

#[derive(Default)]
struct CounterCell {
    count: AtomicI64,
}

impl CounterCell {
    fn add(&self, n: i64) {
        self.count.fetch_add(n, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.count.store(0, Ordering::Relaxed);
    }

    fn count(&self) -> i64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_up_and_down_and_clears() {
        let counter: Counter = Counter::default();
        counter.inc();
        counter.inc_by(5);
        counter.dec();
        counter.dec_by(2);
        assert_eq!(counter.clone().count(), 3);
        counter.dec_by(10);
        assert_eq!(counter.count(), -7);
        counter.clear();
        assert_eq!(counter.count(), 0);
    }

    #[test]
    fn wraps_instead_of_panicking() {
        let counter: Counter = Counter::default();
        counter.inc_by(i64::MAX);
        counter.inc();
        assert_eq!(counter.count(), i64::MIN);
        counter.dec_by(i64::MIN);
        assert_eq!(counter.count(), 0);
    }

    #[test]
    fn debug_shows_no_number() {
        let counter: Counter = Counter::default();
        counter.inc_by(4711);
        assert_eq!(format!("{counter:?}"), "Counter { .. }");
    }
}
