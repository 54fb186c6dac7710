//! Gauges: how much there is now.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::cells::{Cells, redacted};
use crate::instrument::{Instrument, Live};
use crate::label::{Dimension, Label};
use crate::reading::Value;
use crate::{Kind, LabelDeclaration};

/// The present value of something: `Gauge<i64>` or `Gauge<f64>`. Zero until it is set.
///
/// Clones share the value. With a label, `Gauge<i64, Outcome>`, there is one for each of the label's values.
pub struct Gauge<T, L = ()> {
    cells: Cells<GaugeCell<T>, L>,
}

impl<T: GaugeValue> Gauge<T> {
    /// Sets the value.
    pub fn set(&self, value: T) {
        self.cells.update((), |cell| cell.set(value));
    }

    /// The value that was last set. A closure given to [`read_with`](Self::read_with) isn't called.
    #[must_use]
    pub fn value(&self) -> T {
        self.cells.at(()).map_or(T::default(), GaugeCell::value)
    }

    /// Has `observe` called for the value whenever the registry is read, in place of what was set.
    ///
    /// It is called on the thread that reads and should be quick. If it panics, that reading is absent (the program's
    /// panic hook still runs). A later closure replaces an earlier one.
    pub fn read_with(&self, observe: impl Fn() -> T + Send + Sync + 'static) {
        self.cells.update((), |cell| cell.read_with(Arc::new(observe)));
    }
}

impl<T: GaugeValue, L: Label> Gauge<T, L> {
    /// Sets the value under this label.
    pub fn set(&self, label: L, value: T) {
        self.cells.update(label, |cell| cell.set(value));
    }

    /// The value that was last set under this label; see [`Gauge::value`].
    #[must_use]
    pub fn value(&self, label: L) -> T {
        self.cells.at(label).map_or(T::default(), GaugeCell::value)
    }

    /// Has `observe` called for the value under this label whenever the registry is read; see [`Gauge::read_with`].
    pub fn read_with(&self, label: L, observe: impl Fn() -> T + Send + Sync + 'static) {
        self.cells.update(label, |cell| cell.read_with(Arc::new(observe)));
    }
}

impl Gauge<i64> {
    /// Adds `n`, which may be negative; wraps around at the ends of `i64`.
    pub fn add(&self, n: i64) {
        self.cells.update((), |cell| cell.add(n));
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Subtracts one.
    pub fn dec(&self) {
        self.add(-1);
    }
}

impl<L: Label> Gauge<i64, L> {
    /// Adds `n`, which may be negative, under this label; wraps around at the ends of `i64`.
    pub fn add(&self, label: L, n: i64) {
        self.cells.update(label, |cell| cell.add(n));
    }

    /// Adds one under this label.
    pub fn inc(&self, label: L) {
        self.add(label, 1);
    }

    /// Subtracts one under this label.
    pub fn dec(&self, label: L) {
        self.add(label, -1);
    }
}

impl<T: GaugeValue, L: Dimension> Instrument for Gauge<T, L> {
    const KIND: Kind = T::KIND;
    const LABEL: Option<LabelDeclaration> = L::LABEL;
}

impl<T: GaugeValue, L: Dimension> Live for Gauge<T, L> {
    fn values(&self, _elapsed: Duration) -> Vec<Option<Value>> {
        self.cells.iter().map(|cell| cell.observe().map(T::into_value)).collect()
    }

    /// Keeps the value: it is a state of the present, not a memory of the past.
    fn reset(&self) {}
}

impl<T: GaugeValue, L: Dimension> Default for Gauge<T, L> {
    fn default() -> Self {
        Self { cells: Cells::default() }
    }
}

impl<T, L> Clone for Gauge<T, L> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone() }
    }
}

impl<T, L> fmt::Debug for Gauge<T, L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "Gauge")
    }
}

/// What a gauge can hold: `i64` or `f64`. Sealed.
pub trait GaugeValue: bits::Bits + Copy + Default + Send + Sync + 'static {
    /// What a gauge of this type is in a declaration.
    const KIND: Kind;
}

impl GaugeValue for i64 {
    const KIND: Kind = Kind::GaugeInteger;
}

impl GaugeValue for f64 {
    const KIND: Kind = Kind::GaugeFloat;
}

mod bits {
    use crate::reading::Value;

    /// A number as the 64 bits of an atomic. In a private module, which seals [`GaugeValue`](super::GaugeValue).
    pub trait Bits {
        fn into_bits(self) -> u64;
        fn out_of_bits(bits: u64) -> Self;
        fn into_value(self) -> Value;
    }

    impl Bits for i64 {
        fn into_bits(self) -> u64 {
            self as u64
        }

        fn out_of_bits(bits: u64) -> Self {
            bits as i64
        }

        fn into_value(self) -> Value {
            Value::GaugeInteger(self)
        }
    }

    impl Bits for f64 {
        fn into_bits(self) -> u64 {
            self.to_bits()
        }

        fn out_of_bits(bits: u64) -> Self {
            f64::from_bits(bits)
        }

        fn into_value(self) -> Value {
            Value::GaugeFloat(self)
        }
    }
}

type Observe<T> = Arc<dyn Fn() -> T + Send + Sync>;

struct GaugeCell<T> {
    /// All zeros are zero in both types.
    bits: AtomicU64,
    /// Locked only to be replaced and to be copied out, never while it is called.
    observe: RwLock<Option<Observe<T>>>,
}

impl<T: GaugeValue> GaugeCell<T> {
    fn set(&self, value: T) {
        self.bits.store(value.into_bits(), Ordering::Relaxed);
    }

    fn value(&self) -> T {
        T::out_of_bits(self.bits.load(Ordering::Relaxed))
    }

    fn read_with(&self, observe: Observe<T>) {
        let former = self.observe.write().unwrap_or_else(PoisonError::into_inner).replace(observe);
        // Outside the lock: what the former closure owned may do anything as it goes.
        drop(former);
    }

    fn observe(&self) -> Option<T> {
        let observe = self.observe.read().unwrap_or_else(PoisonError::into_inner).clone();
        match observe {
            Some(observe) => catch_unwind(AssertUnwindSafe(|| observe())).ok(),
            None => Some(self.value()),
        }
    }
}

impl GaugeCell<i64> {
    fn add(&self, n: i64) {
        self.bits.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl<T> Default for GaugeCell<T> {
    fn default() -> Self {
        Self { bits: AtomicU64::new(0), observe: RwLock::new(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_set_and_moved() {
        let gauge: Gauge<i64> = Gauge::default();
        assert_eq!(gauge.value(), 0);
        gauge.set(-5);
        gauge.inc();
        gauge.add(10);
        gauge.dec();
        assert_eq!(gauge.clone().value(), 5);
        gauge.add(i64::MAX);
        assert_eq!(gauge.value(), i64::MIN + 4);
    }

    #[test]
    fn floats_are_kept_exactly() {
        let gauge: Gauge<f64> = Gauge::default();
        assert_eq!(gauge.value(), 0.0);
        for value in [0.1, -0.0, f64::MIN_POSITIVE, f64::INFINITY] {
            gauge.set(value);
            assert_eq!(gauge.value().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_closure_is_called_at_each_reading_and_may_be_replaced() {
        let gauge: Gauge<i64> = Gauge::default();
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        gauge.read_with(move || counted.fetch_add(1, Ordering::Relaxed) as i64);
        for expected in 0..3 {
            assert_eq!(gauge.values(Duration::ZERO), [Some(Value::GaugeInteger(expected))]);
        }
        gauge.read_with(|| 7);
        assert_eq!(gauge.values(Duration::ZERO), [Some(Value::GaugeInteger(7))]);
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_closure_that_panics_leaves_its_reading_absent() {
        let gauge: Gauge<f64> = Gauge::default();
        gauge.read_with(|| std::panic::resume_unwind(Box::new("as tested")));
        assert_eq!(gauge.values(Duration::ZERO), [None]);
        gauge.read_with(|| 1.5);
        assert_eq!(gauge.values(Duration::ZERO), [Some(Value::GaugeFloat(1.5))]);
    }
}
