//! What a registry returns when it is read: plain values, without any tie to the instruments.

use crate::Kind;
use crate::distribution::Distribution;

/// One instrument at one moment; a labelled instrument gives one reading for each value of its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The namespace of the declaration.
    pub namespace: &'static str,
    /// The instrument's name.
    pub name: &'static str,
    /// The instrument's kind.
    pub kind: Kind,
    /// The label's key and value, if the instrument has a label.
    pub label: Option<(&'static str, &'static str)>,
    /// What was read; its variant fits [`kind`](Self::kind).
    pub value: Value,
}

/// What was read from an instrument.
///
/// Counts go on from creation (or the last reset); a distribution holds only what was recorded since the last reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter.
    Counter {
        /// The count since creation, or since it was last cleared.
        count: i64,
    },
    /// A gauge of whole numbers.
    GaugeInteger(i64),
    /// A gauge of fractional numbers; it may be infinite or not a number, if that was set.
    GaugeFloat(f64),
    /// A meter.
    Meter(Rates),
    /// A histogram.
    Histogram(Distribution),
    /// A timer.
    Timer {
        /// How often.
        rates: Rates,
        /// How long, in nanoseconds.
        distribution: Distribution,
    },
}

/// A meter's count, and its rates in events per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Events since creation.
    pub count: i64,
    /// Moving average over about one minute.
    pub m1: f64,
    /// Moving average over about five minutes.
    pub m5: f64,
    /// Moving average over about fifteen minutes.
    pub m15: f64,
    /// The count divided by the time elapsed.
    pub mean: f64,
}
