//! Timers: how long something takes and how often it happens. The only instrument that reads a clock, the monotonic one.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cells::{Cells, redacted};
use crate::distribution::Distribution;
use crate::histogram::HistogramCell;
use crate::instrument::{Instrument, Live};
use crate::label::{Dimension, Label};
use crate::meter::MeterCell;
use crate::reading::{Rates, Value};
use crate::{Kind, LabelDeclaration};

/// A histogram of durations in nanoseconds, and a meter of how often there was one.
///
/// Clones share it. With a label, `Timer<Outcome>`, there is one for each of the label's values.
pub struct Timer<L = ()> {
    cells: Cells<TimerCell, L>,
}

impl Timer {
    /// Records a duration; one of more than 292 years counts as 292 years.
    pub fn update(&self, duration: Duration) {
        self.cells.update((), |cell| cell.update(duration));
    }

    /// Starts to measure, until what is returned is dropped.
    pub fn start(&self) -> RunningTimer {
        RunningTimer::start(self, ())
    }

    /// Measures how long a closure takes, and returns what it returns. It is recorded also if the closure panics.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _running = self.start();
        work()
    }

    /// How many durations since creation.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.cells.at(()).map_or(0, |cell| cell.meter.count())
    }

    /// Count and rates; `elapsed` is how long the timer has been counting.
    #[must_use]
    pub fn rates(&self, elapsed: Duration) -> Rates {
        self.cells.at(()).map_or(Rates::default(), |cell| cell.meter.rates(elapsed))
    }

    /// Takes out the durations, in nanoseconds, recorded since the last taking. A registry does it at each reading.
    #[must_use]
    pub fn take(&self) -> Distribution {
        self.cells.at(()).map(|cell| cell.histogram.take()).unwrap_or_default()
    }
}

impl<L: Label> Timer<L> {
    /// Records a duration under this label; one of more than 292 years counts as 292 years.
    pub fn update(&self, label: L, duration: Duration) {
        self.cells.update(label, |cell| cell.update(duration));
    }

    /// Starts to measure, until what is returned is dropped. The label may still be changed until then.
    pub fn start(&self, label: L) -> RunningTimer<L> {
        RunningTimer::start(self, label)
    }

    /// Measures how long a closure takes, and returns what it returns. It is recorded also if the closure panics.
    pub fn time<R>(&self, label: L, work: impl FnOnce() -> R) -> R {
        let _running = self.start(label);
        work()
    }

    /// How many durations under this label since creation.
    #[must_use]
    pub fn count(&self, label: L) -> i64 {
        self.cells.at(label).map_or(0, |cell| cell.meter.count())
    }

    /// Count and rates under this label; `elapsed` is how long the timer has been counting.
    #[must_use]
    pub fn rates(&self, label: L, elapsed: Duration) -> Rates {
        self.cells.at(label).map_or(Rates::default(), |cell| cell.meter.rates(elapsed))
    }

    /// Takes out the durations, in nanoseconds, recorded under this label since the last taking.
    #[must_use]
    pub fn take(&self, label: L) -> Distribution {
        self.cells.at(label).map(|cell| cell.histogram.take()).unwrap_or_default()
    }
}

impl<L: Dimension> Timer<L> {
    /// Moves the averages; to be called every five seconds. A registry does it for the timers in it.
    pub fn tick(&self) {
        self.cells.iter().for_each(|cell| cell.meter.tick());
    }

    /// How often it was reset; all cells are at once.
    fn resets(&self) -> u32 {
        self.cells.iter().next().map_or(0, |cell| cell.resets.load(Ordering::Relaxed))
    }
}

impl<L: Dimension> Instrument for Timer<L> {
    const KIND: Kind = Kind::Timer;
    const LABEL: Option<LabelDeclaration> = L::LABEL;
    const UNIT: Option<&'static str> = Some("ns");
}

impl<L: Dimension> Live for Timer<L> {
    fn values(&self, elapsed: Duration) -> Vec<Option<Value>> {
        self.cells.iter().map(|cell| Some(cell.value(elapsed))).collect()
    }

    fn tick(&self) {
        self.tick();
    }

    fn reset(&self) {
        self.cells.iter().for_each(TimerCell::reset);
    }
}

impl<L: Dimension> Default for Timer<L> {
    fn default() -> Self {
        Self { cells: Cells::default() }
    }
}

impl<L> Clone for Timer<L> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone() }
    }
}

impl<L> fmt::Debug for Timer<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "Timer")
    }
}

/// A measurement under way. It records the time since its start when it is dropped; it may move to another thread.
/// If the registry was reset meanwhile it records nothing: what began before must not be told afterwards.
#[must_use = "a timer that isn't kept stops at once; bind it to a name, as in `let _running = …`"]
pub struct RunningTimer<L: Dimension = ()> {
    timer: Timer<L>,
    dimension: L,
    started: Instant,
    /// Of the timer when this began.
    resets: u32,
    discarded: bool,
}

impl<L: Dimension> RunningTimer<L> {
    fn start(timer: &Timer<L>, dimension: L) -> Self {
        let resets = timer.resets();
        Self { timer: timer.clone(), dimension, started: Instant::now(), resets, discarded: false }
    }

    /// Ends without recording anything.
    pub fn discard(mut self) {
        self.discarded = true;
    }
}

impl<L: Label> RunningTimer<L> {
    /// Changes the label to record under, since how something ended is often known only at its end.
    pub fn set_label(&mut self, label: L) {
        self.dimension = label;
    }
}

impl<L: Dimension> Drop for RunningTimer<L> {
    fn drop(&mut self) {
        if !self.discarded && self.resets == self.timer.resets() {
            self.timer.cells.update(self.dimension, |cell| cell.update(self.started.elapsed()));
        }
    }
}

impl<L: Dimension> fmt::Debug for RunningTimer<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(formatter, "RunningTimer")
    }
}

#[derive(Default)]
struct TimerCell {
    histogram: HistogramCell,
    meter: MeterCell,
    resets: AtomicU32,
}

impl TimerCell {
    fn update(&self, duration: Duration) {
        self.histogram.update(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
        self.meter.mark_by(1);
    }

    fn value(&self, elapsed: Duration) -> Value {
        Value::Timer { rates: self.meter.rates(elapsed), distribution: self.histogram.take() }
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.histogram.reset();
        self.meter.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_recorded_in_nanoseconds() {
        let timer: Timer = Timer::default();
        timer.update(Duration::from_micros(3));
        timer.update(Duration::ZERO);
        timer.update(Duration::MAX);
        let distribution = timer.take();
        assert_eq!((distribution.count, distribution.min, distribution.max), (3, 0, i64::MAX));
        assert_eq!(
            distribution.buckets.get(1).map(|&(index, _)| index),
            Some(crate::buckets::index(3_000))
        );
        assert_eq!(timer.count(), 3);
        assert_eq!(timer.take(), Distribution::default());
    }

    #[test]
    fn p3_what_runs_over_a_reset_is_not_told_afterwards() {
        let timer: Timer = Timer::default();
        let (before, copy) = (timer.start(), timer.clone());
        Live::reset(&timer);
        drop(before);
        assert_eq!((copy.count(), copy.take()), (0, Distribution::default()));
        drop(copy.start());
        assert_eq!(timer.count(), 1);
    }

    #[test]
    fn a_running_timer_records_once_when_dropped() {
        let timer: Timer = Timer::default();
        let running = timer.start();
        assert_eq!(timer.count(), 0);
        drop(running);
        assert_eq!(timer.count(), 1);
        timer.start().discard();
        assert_eq!(timer.count(), 1);
        assert_eq!(timer.time(|| 42), 42);
        assert_eq!(timer.count(), 2);
        assert_eq!(timer.take().count, 2);
    }

    #[test]
    fn a_closure_that_panics_is_timed_too() {
        let timer: Timer = Timer::default();
        let timed = std::panic::AssertUnwindSafe(|| {
            timer.time(|| std::panic::resume_unwind(Box::new("as tested")))
        });
        let outcome: Result<(), _> = std::panic::catch_unwind(timed);
        assert!(outcome.is_err());
        assert_eq!(timer.take().count, 1);
    }

    #[test]
    fn the_rate_moves_with_ticks() {
        let timer: Timer = Timer::default();
        (0..3).for_each(|_| timer.update(Duration::from_millis(1)));
        timer.tick();
        let rates = timer.rates(Duration::from_secs(5));
        assert_eq!(rates, Rates { count: 3, m1: 0.6, m5: 0.6, m15: 0.6, mean: 0.6 });
    }
}
