//! What all instruments say at the end of an interval, as a session counts.
//!
//! Instruments count from their beginning; a session's totals begin with the session, so this is
//! where a number gets its `count` within the session and its `delta` within the interval.

use std::{collections::BTreeMap, time::Duration};

use undertone_instruments::{Distribution, Reading as Read, Registry, Value};
use undertone_wire::{
    Name, Tags,
    reading::{Rates, Reading},
    schema::Kind,
};

/// A measurement with its tags: what has one history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Series {
    pub(crate) measurement: Name,
    pub(crate) tags: Tags,
}

/// What one series said in one interval; it has not passed the gate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) series: Series,
    pub(crate) reading: Reading,
}

/// Reads the instruments, and remembers what they had counted the last time.
#[derive(Debug)]
pub(crate) struct Snapshots {
    registry: Registry,
    interval: Duration,
    taken: u32,
    counted: BTreeMap<Series, i64>,
}

impl Snapshots {
    pub(crate) fn new(registry: Registry, interval: Duration) -> Self {
        Self { registry, interval, taken: 0, counted: BTreeMap::new() }
    }

    /// Five seconds have passed.
    pub(crate) fn tick(&self) {
        self.registry.tick();
    }

    /// Ends an interval.
    ///
    /// Mean rates are over whole intervals, not over measured time: a rate that knew the time exactly
    /// would tell it, and with it this machine's clock drift (invariant P6).
    pub(crate) fn take(&mut self) -> Vec<Sample> {
        self.taken = self.taken.saturating_add(1);
        let read = self.registry.read(self.interval.saturating_mul(self.taken));
        read.into_iter().map(|reading| self.sample(reading)).collect()
    }

    fn sample(&mut self, read: Read) -> Sample {
        let series = Series {
            measurement: format!(
                "{}.{}.{}",
                read.namespace,
                read.name,
                Kind::from(read.kind).suffix()
            )
            .into(),
            tags: read.label.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        };
        let counted = self.counted.entry(series.clone()).or_default();
        let reading = match read.value {
            Value::Counter { count } => Reading::counter(count, count.wrapping_sub(*counted)),
            Value::GaugeInteger(value) => Reading::GaugeInteger(value),
            Value::GaugeFloat(value) => Reading::GaugeFloat(value),
            Value::Meter(rates) => Reading::Meter(session_rates(rates, *counted)),
            Value::Histogram(distribution) => {
                Reading::histogram(counted.wrapping_add(observations(&distribution)), distribution)
            }
            Value::Timer { rates, distribution } => {
                // The meter and the histogram of one timer may be read a moment apart; the
                // histogram, of which every value is in exactly one interval, is what counts.
                let delta = observations(&distribution);
                let count = counted.wrapping_add(delta);
                let rates = Rates { count, delta, ..session_rates(rates, *counted) };
                Reading::timer(rates, distribution)
            }
        };
        match &reading {
            Reading::Counter { count, .. } | Reading::Histogram { count, .. } => *counted = *count,
            Reading::Meter(rates) | Reading::Timer { rates, .. } => *counted = rates.count,
            _ => {}
        }
        Sample { series, reading }
    }
}

fn session_rates(rates: undertone_instruments::Rates, counted: i64) -> Rates {
    let undertone_instruments::Rates { count, m1, m5, m15, mean } = rates;
    Rates { count, delta: count.wrapping_sub(counted), m1, m5, m15, mean }
}

fn observations(distribution: &Distribution) -> i64 {
    i64::try_from(distribution.count).unwrap_or(i64::MAX)
}
