//! What was measured since the last cut, and how it becomes one payload.
//!
//! A batch fills one parcel and never two. What doesn't fit is merged into coarser intervals, two
//! neighbours at a time; what doesn't fit even then is dropped and counted.

use std::collections::BTreeMap;

use undertone_wire::{
    Point,
    batch::{EncodeError, Payload},
};

use crate::{gate::Declared, snapshot::Series};

/// The most intervals that are held: more are merged, for cuts may be far apart.
const INTERVALS_LIMIT: usize = 64;

/// Declared readings, by interval.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    intervals: Vec<Interval>,
    /// How many intervals the agent has seen.
    elapsed: u32,
}

#[derive(Debug, Clone)]
struct Interval {
    /// The number of the interval; where several were merged, of the last.
    number: u32,
    readings: BTreeMap<Series, Declared>,
}

/// What a cut gives.
#[derive(Debug, PartialEq)]
pub(crate) struct Cut {
    /// What is to be sealed.
    pub(crate) payload: Payload,
    /// How many series did not fit.
    pub(crate) dropped: usize,
}

impl Batch {
    /// Adds what was read at the end of an interval.
    pub(crate) fn add(&mut self, readings: Vec<Declared>) {
        self.elapsed = self.elapsed.wrapping_add(1);
        let readings =
            readings.into_iter().map(|reading| (reading.series().clone(), reading)).collect();
        self.intervals.push(Interval { number: self.elapsed, readings });
        if self.intervals.len() > INTERVALS_LIMIT {
            self.merge();
        }
    }

    /// Whether nothing at all was read since the last cut.
    pub(crate) fn is_empty(&self) -> bool {
        self.intervals.iter().all(|interval| interval.readings.is_empty())
    }

    /// Makes one interval of all, which ends now.
    pub(crate) fn merge_all(&mut self) {
        while self.intervals.len() > 1 {
            self.merge();
        }
    }

    /// Empties the batch into a payload.
    pub(crate) fn cut(&mut self) -> Cut {
        let mut dropped = 0;
        let payload = loop {
            match Payload::encode(&self.points()) {
                Ok(payload) => break payload,
                Err(EncodeError::TooLong) if self.intervals.len() > 1 => self.merge(),
                // One interval left: whole series go, last names first, a tenth at a time.
                Err(_) if !self.intervals.is_empty() => dropped += self.drop_some(),
                // Not even nothing can be encoded: no memory is left.
                Err(_) => break Payload::default(),
            }
        };
        self.intervals.clear();
        Cut { payload, dropped }
    }

    fn points(&self) -> Vec<Point> {
        let points = self.intervals.iter().flat_map(|interval| {
            let before = self.elapsed.wrapping_sub(interval.number);
            interval.readings.values().map(move |reading| reading.point(before))
        });
        points.collect()
    }

    /// Makes one interval of every two.
    fn merge(&mut self) {
        let mut merged: Vec<Interval> = Vec::with_capacity(self.intervals.len().div_ceil(2));
        for (index, interval) in std::mem::take(&mut self.intervals).into_iter().enumerate() {
            match merged.last_mut().filter(|_| index % 2 == 1) {
                Some(earlier) => earlier.absorb(interval),
                None => merged.push(interval),
            }
        }
        self.intervals = merged;
    }

    fn drop_some(&mut self) -> usize {
        let Some(interval) = self.intervals.last_mut() else { return 0 };
        let some = interval.readings.len().div_ceil(10);
        for _ in 0..some {
            interval.readings.pop_last();
        }
        if interval.readings.is_empty() {
            self.intervals.pop();
        }
        some
    }
}

impl Interval {
    fn absorb(&mut self, later: Self) {
        self.number = later.number;
        for (series, reading) in later.readings {
            match self.readings.get_mut(&series) {
                Some(earlier) => earlier.absorb(&reading),
                None => drop(self.readings.insert(series, reading)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use undertone_wire::{FieldValue, reading::Reading, schema::Schema};

    use super::*;
    use crate::{gate::Gate, snapshot::Sample};

    /// So that every count can be found again.
    const EXACT: &str = "digits = \"all\"\nlinkable = true\n";

    fn gate(counters: usize) -> Gate {
        let mut schema = "namespace = \"app\"\n".to_owned();
        for number in 0..counters {
            schema += &format!(
                "[[measurement]]\nname = \"n{}\"\nkind = \"counter\"\ndescription = \"A counter.\"\n{EXACT}",
                scrambled(number)
            );
        }
        Gate::new(Arc::new(Schema::from_toml(&schema).unwrap()))
    }

    /// Different for each number, and hard to compress.
    fn scrambled(number: usize) -> String {
        format!("{:x}", (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Adds an interval in which each counter counted 1.
    fn add(batch: &mut Batch, gate: &mut Gate, counters: usize, interval: i64) {
        let samples = (0..counters).map(|number| Sample {
            series: Series {
                measurement: format!("app.n{}.count", scrambled(number)).into(),
                tags: undertone_wire::Tags::default(),
            },
            reading: Reading::counter(interval, 1),
            beyond: false,
        });
        batch.add(samples.filter_map(|sample| gate.pass(sample)).collect());
    }

    fn deltas(points: &[Point]) -> i64 {
        let delta = |point: &Point| match point.fields[&"delta".into()] {
            FieldValue::Integer(delta) => delta,
            _ => 0,
        };
        points.iter().map(delta).sum()
    }

    #[test]
    fn what_fits_keeps_its_intervals() {
        let (mut batch, mut gate) = (Batch::default(), gate(2));
        (1..=3).for_each(|interval| add(&mut batch, &mut gate, 2, interval));
        let points = batch.cut().payload.decode().unwrap();
        let before: Vec<Option<i64>> = points.iter().map(|point| point.timestamp).collect();
        assert_eq!(before, [Some(2), Some(2), Some(1), Some(1), Some(0), Some(0)]);
        assert_eq!(batch.cut(), Batch::default().cut(), "a cut leaves nothing behind");
    }

    #[test]
    fn what_does_not_fit_is_merged_and_every_count_is_kept() {
        for (counters, intervals) in [(60, 40), (100, 7), (3, 1_000), (80, 1)] {
            let (mut batch, mut gate) = (Batch::default(), gate(counters));
            (1..=intervals).for_each(|interval| add(&mut batch, &mut gate, counters, interval));
            let cut = batch.cut();
            assert_eq!(cut.dropped, 0);
            assert_eq!(deltas(&cut.payload.decode().unwrap()), counters as i64 * intervals);
        }
    }

    #[test]
    fn d4_what_does_not_fit_at_all_is_dropped_and_counted() {
        let (mut batch, mut gate) = (Batch::default(), gate(600));
        (1..=8).for_each(|interval| add(&mut batch, &mut gate, 600, interval));
        let cut = batch.cut();
        let kept = cut.payload.decode().unwrap();
        assert!(cut.dropped > 0 && !kept.is_empty());
        assert_eq!(kept.len() + cut.dropped, 600);
        assert_eq!(deltas(&kept), 8 * kept.len() as i64);
    }
}
