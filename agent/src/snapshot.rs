//! What all instruments say at the end of an interval, as a session counts.
//!
//! Instruments count from their beginning; a session's totals begin with the session, so this is
//! where a number gets its `count` within the session and its `delta` within the interval. What was
//! counted beyond what the schema says can happen is cut off here, from both: a proxy would take it for
//! false.

use std::{collections::BTreeMap, time::Duration};

use undertone_instruments::{Distribution, Reading as Read, Registry, Value};
use undertone_wire::{
    Name, Tags,
    reading::{Rates, Reading},
    schema::{Kind, Schema, longest_span},
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
    /// More was counted than can happen, and cut off.
    pub(crate) beyond: bool,
}

/// Reads the instruments, and remembers what they had counted the last time.
#[derive(Debug)]
pub(crate) struct Snapshots {
    registry: Registry,
    interval: Duration,
    elapsed: Duration,
    counted: BTreeMap<Series, Counted>,
}

/// What a series has counted in this session.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    /// As its instrument says.
    by_instrument: i64,
    /// As it was told.
    told: i64,
}

impl Snapshots {
    pub(crate) fn new(registry: Registry, interval: Duration) -> Self {
        Self { registry, interval, elapsed: Duration::ZERO, counted: BTreeMap::new() }
    }

    /// Intervals are so long from now on.
    pub(crate) fn change_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Five seconds have passed.
    pub(crate) fn tick(&self) {
        self.registry.tick();
    }

    /// Ends an interval.
    ///
    /// Mean rates are over whole intervals, not over measured time: a rate that knew the time exactly
    /// would tell it, and with it this machine's clock drift (invariant P6).
    pub(crate) fn take(&mut self, schema: &Schema) -> Vec<Sample> {
        // What was counted before an agent began is in its first interval.
        let is_first = self.elapsed.is_zero();
        let time = if is_first { longest_span(self.interval) } else { self.interval };
        self.elapsed = self.elapsed.saturating_add(self.interval);
        let read = self.registry.read(self.elapsed);
        read.into_iter().map(|reading| self.sample(reading, schema, time)).collect()
    }

    fn sample(&mut self, read: Read, schema: &Schema, time: Duration) -> Sample {
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
        let seen = self.counted.entry(series.clone()).or_default();
        let counted = &mut seen.by_instrument;
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
        let (bounded, beyond) = match schema.measurement(&series.measurement) {
            Some(declared) => {
                let bounded = declared.pace().bound(&reading, time);
                let beyond = bounded.delta() != reading.delta();
                (bounded, beyond)
            }
            // The gate refuses it.
            None => (reading, false),
        };
        seen.told = seen.told.saturating_add(bounded.delta().unwrap_or_default());
        Sample { series, reading: bounded.with_count(seen.told), beyond }
    }
}

fn session_rates(rates: undertone_instruments::Rates, counted: i64) -> Rates {
    let undertone_instruments::Rates { count, m1, m5, m15, mean } = rates;
    Rates { count, delta: count.wrapping_sub(counted), m1, m5, m15, mean }
}

fn observations(distribution: &Distribution) -> i64 {
    i64::try_from(distribution.count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instruments;

    crate::instruments! {
        struct Metrics in "app" {
            /// Requests.
            requests: Counter { max_per_second: 10 },
            /// Sizes.
            sizes: Histogram { max_per_second: 10 },
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// Deltas and counts of both instruments, and whether something was cut off.
    fn taken(snapshots: &mut Snapshots) -> Vec<(i64, i64, bool)> {
        let schema = Schema::try_from(Metrics::DECLARATION).unwrap();
        let told = |sample: Sample| {
            (sample.reading.delta().unwrap(), sample.reading.count().unwrap(), sample.beyond)
        };
        snapshots.take(&schema).into_iter().map(told).collect()
    }

    #[test]
    fn what_is_beyond_what_can_happen_is_cut_off_from_delta_and_count() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let mut snapshots = Snapshots::new(registry, MINUTE);
        // The first interval may hold what was counted before the agent began.
        metrics.requests.inc_by(5_000);
        (0..5_000).for_each(|_| metrics.sizes.update(7));
        assert_eq!(taken(&mut snapshots), [(5_000, 5_000, false); 2]);
        metrics.requests.inc_by(601);
        (0..601).for_each(|_| metrics.sizes.update(7));
        assert_eq!(taken(&mut snapshots), [(600, 5_600, true); 2]);
        metrics.requests.inc();
        metrics.sizes.update(7);
        assert_eq!(taken(&mut snapshots), [(1, 5_601, false); 2]);
        metrics.requests.clear();
        assert_eq!(taken(&mut snapshots), [(-600, 5_001, true), (0, 5_601, false)]);
    }
}
