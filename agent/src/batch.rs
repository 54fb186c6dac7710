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
#[derive(Debug, Default)]
pub(crate) struct Batch {
    intervals: Vec<Interval>,
    /// How many intervals the agent has seen.
    elapsed: u32,
}

#[derive(Debug)]
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

    /// Empties the batch into a payload.
    pub(crate) fn cut(&mut self) -> Cut {
        let mut dropped = 0;
        let payload = loop {
            match Payload::encode(&self.points()) {
                Ok(payload) => break payload,
                Err(EncodeError::TooLong) if self.intervals.len() > 1 => self.merge(),
                // One interval left: whole series go, last names first, a tenth at a time.
                Err(_) => dropped += self.drop_some(),
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
            self.intervals.clear();
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
