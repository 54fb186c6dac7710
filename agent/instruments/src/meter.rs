//! Meters: how often, as a count and as moving averages over one, five and fifteen minutes.
//!
//! Marking is one atomic addition. The averages move when whoever owns the registry ticks it, every five seconds; no
//! clock is read here.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cells::{Cells, redacted};
use crate::ewma::Ewma;
use crate::instrument::{Instrument, Live};
use crate::label::{Dimension, Label};
use crate::reading::{Rates, Value};
use crate::{Kind, LabelDeclaration};

/// The rate of something that happens again and again.
///
/// Clones share the rate. With a label, `Meter<Outcome>`, there is one for each of the label's values.
pub struct Meter<L = ()> {
    cells: Cells<MeterCell, L>,
}

impl Meter {
    /// Counts one event.
    pub fn mark(&self) {
        self.mark_by(1);
    }

    /// Counts `n` events.
    pub fn mark_by(&self, n: i64) {
        self.cells.update((), |cell| cell.mark_by(n));
    }

    /// Events since creation.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.cells.at(()).map_or(0, MeterCell::count)
    }

    /// Count and rates; `elapsed` is how long the meter has been counting.
    #[must_use]
    pub fn rates(&self, elapsed: Duration) -> Rates {
        self.cells.at(()).map_or(Rates::default(), |cell| cell.rates(elapsed))
    }
}

impl<L: Label> Meter<L> {
    /// Counts one event under this label.
    pub fn mark(&self, label: L) {
        self.mark_by(label, 1);
    }

    /// Counts `n` events under this label.
    pub fn mark_by(&self, label: L, n: i64) {
        self.cells.update(label, |cell| cell.mark_by(n));
    }

    /// Events under this label since creation.
    #[must_use]
    pub fn count(&self, label: L) -> i64 {
        self.cells.at(label).map_or(0, MeterCell::count)
    }

    /// Count and rates under this label; `elapsed` is how long the meter has been counting.
    #[must_use]
    pub fn rates(&self, label: L, elapsed: Duration) -> Rates {
        self.cells.at(label).map_or(Rates::default(), |cell| cell.rates(elapsed))
    }
}

impl<L: Dimension> Meter<L> {
    /// Moves the averages; to be called every five seconds. A registry does it for the meters in it.
    pub fn tick(&self) {
        self.cells.iter().for_each(MeterCell::tick);
    }
}

impl<L: Dimension> Instrument for Meter<L> {
    const KIND: Kind = Kind::Meter;
    const LABEL: Option<LabelDeclaration> = L::LABEL;
}

impl<L: Dimension> Live for Meter<L> {
    fn values(&self, elapsed: Duration) -> Vec<Option<Value>> {
        self.cells.iter().map(|cell| Some(Value::Meter(cell.rates(elapsed)))).collect()
    }

    fn tick(&self) {
        self.tick();
    }

    fn reset(&self) {
        self.cells.iter().for_each(MeterCell::reset);
    }
}

impl<L: Dimension> Default for Meter<L> {
    fn default() -> Self {
        Self { cells: Cells::default() }
    }
}

impl<L> Clone for Meter<L> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone() }
    }
}

impl<L> fmt::Debug for Meter<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "Meter")
    }
}

/// One meter; a timer has one too.
#[derive(Default)]
pub(crate) struct MeterCell {
    count: AtomicI64,
    averages: Mutex<Averages>,
}

impl MeterCell {
    pub(crate) fn mark_by(&self, n: i64) {
        self.count.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> i64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn tick(&self) {
        let mut averages = self.averages();
        let count = self.count();
        let events = count.wrapping_sub(averages.ticked_count);
        averages.ticked_count = count;
        averages.m1.tick(events);
        averages.m5.tick(events);
        averages.m15.tick(events);
    }

    pub(crate) fn rates(&self, elapsed: Duration) -> Rates {
        let averages = self.averages();
        let count = self.count();
        let mean = if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() };
        Rates {
            count,
            m1: averages.m1.rate(),
            m5: averages.m5.rate(),
            m15: averages.m15.rate(),
            mean,
        }
    }

    pub(crate) fn reset(&self) {
        let mut averages = self.averages();
        *averages = Averages::default();
        self.count.store(0, Ordering::Relaxed);
    }

    /// Never locked while marking.
    fn averages(&self) -> MutexGuard<'_, Averages> {
        self.averages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Averages {
    /// The count at the last tick.
    ticked_count: i64,
    m1: Ewma,
    m5: Ewma,
    m15: Ewma,
}

impl Default for Averages {
    fn default() -> Self {
        Self {
            ticked_count: 0,
            m1: Ewma::over_minutes(1.0),
            m5: Ewma::over_minutes(5.0),
            m15: Ewma::over_minutes(15.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_averages_like_go_metrics() {
        let meter: Meter = Meter::default();
        meter.mark_by(3);
        assert_eq!(
            meter.rates(Duration::from_secs(2)),
            Rates { count: 3, mean: 1.5, ..Rates::default() }
        );
        meter.tick();
        let rates = meter.rates(Duration::from_secs(5));
        assert_eq!(rates, Rates { count: 3, m1: 0.6, m5: 0.6, m15: 0.6, mean: 0.6 });
        for _ in 0..12 {
            meter.tick();
        }
        let rates = meter.rates(Duration::from_secs(65));
        assert!((rates.m1 - 0.22072766470286553).abs() < 1e-15, "{rates:?}");
        assert!((rates.m5 - 0.49123845184678905).abs() < 1e-15, "{rates:?}");
        assert!((rates.m15 - 0.5613041910189706).abs() < 1e-15, "{rates:?}");
    }

    #[test]
    fn a_steady_rate_is_shown_as_it_is() {
        let meter: Meter = Meter::default();
        for _ in 0..10_000 {
            meter.mark_by(50);
            meter.tick();
        }
        let rates = meter.rates(Duration::from_secs(50_000));
        assert_eq!(rates, Rates { count: 500_000, m1: 10.0, m5: 10.0, m15: 10.0, mean: 10.0 });
    }

    #[test]
    fn no_time_elapsed_means_no_mean_rate() {
        let meter: Meter = Meter::default();
        meter.mark();
        assert_eq!(meter.rates(Duration::ZERO).mean, 0.0);
    }

    #[test]
    fn a_reset_starts_anew() {
        let meter: Meter = Meter::default();
        meter.mark_by(100);
        meter.tick();
        meter.mark_by(5);
        Live::reset(&meter);
        assert_eq!(meter.rates(Duration::from_secs(1)), Rates::default());
        meter.mark_by(3);
        meter.tick();
        assert_eq!(meter.rates(Duration::from_secs(5)).m15, 0.6);
    }
}
