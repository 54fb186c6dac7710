//! The readings of a sample as they are read, within bounds.

use std::collections::BTreeMap;

use super::{Reading, SampleError};
use crate::workload::DAY;

/// More readings than this take some 200 MB of memory and hours.
const READINGS_LIMIT: usize = 5_000_000;
/// More days than this say no more about what stays the same.
const DAYS_LIMIT: f64 = 366.0;
/// No time is so far from 1970, in seconds; what is in milliseconds or nanoseconds mostly is.
const TIME_LIMIT: f64 = 1e11;
/// So often a value can have been in one reading at most.
const TIMES_LIMIT: f64 = 1e6;

/// The readings of each device, in the order of the sample's lines.
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) devices: BTreeMap<String, Vec<Reading>>,
    count: usize,
    /// The earliest and the latest time, each with its line.
    earliest: Option<(f64, usize)>,
    latest: Option<(f64, usize)>,
}

impl Readings {
    /// Adds what a line says, with how often.
    pub(super) fn add(
        &mut self,
        line: usize,
        device: String,
        mut reading: Reading,
        times: f64,
    ) -> Result<(), SampleError> {
        let refuse = |why: String| Err(SampleError::Line(line, why));
        if self.count == READINGS_LIMIT {
            return refuse(format!(
                "there are more than {READINGS_LIMIT} readings; score a part of the devices or of the days"
            ));
        }
        let at = reading.at;
        if !(-TIME_LIMIT..=TIME_LIMIT).contains(&at) {
            return refuse(format!(
                "its time is no number of seconds between -{TIME_LIMIT} and {TIME_LIMIT}; divide milliseconds by \
                 1000 first"
            ));
        }
        if !(1.0..=TIMES_LIMIT).contains(&times) || times.fract() != 0.0 {
            return refuse(format!("`times` is no whole number from 1 to {TIMES_LIMIT}"));
        }
        if !reading.value.is_finite() {
            return refuse("its value is no number".to_owned());
        }
        let earliest = *self.earliest.get_or_insert((at, line));
        let latest = *self.latest.get_or_insert((at, line));
        for other in [earliest, latest] {
            if (at - other.0).abs() > DAYS_LIMIT * DAY {
                return refuse(format!(
                    "its time is more than {DAYS_LIMIT} days from that of line {}; score fewer days, or mend the time",
                    other.1
                ));
            }
        }
        if at < earliest.0 {
            self.earliest = Some((at, line));
        }
        if at > latest.0 {
            self.latest = Some((at, line));
        }
        self.count += 1;
        reading.times = times as u32;
        self.devices.entry(device).or_default().push(reading);
        Ok(())
    }

    /// Each device's readings in their order, with the earliest of all at 0, and when the latest was, in seconds.
    pub(super) fn ordered(self) -> (Vec<Vec<Reading>>, f64) {
        let begin = self.earliest.map_or(0.0, |(at, _)| at);
        let end = self.latest.map_or(0.0, |(at, _)| at - begin);
        let mut devices: Vec<Vec<Reading>> = self.devices.into_values().collect();
        for device in &mut devices {
            device.iter_mut().for_each(|reading| reading.at -= begin);
            device.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        (devices, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_readings_than_the_limit() {
        let mut readings = Readings { count: READINGS_LIMIT - 1, ..Readings::default() };
        let reading = Reading { at: 1.0, measurement: 0, value: 1.0, times: 1 };
        readings.add(7, "a".to_owned(), reading, 1.0).unwrap();
        let error = readings.add(8, "a".to_owned(), reading, 1.0).unwrap_err().to_string();
        assert!(
            error.starts_with("line 8: there are more than 5000000 readings; score a part"),
            "{error}"
        );
    }
}
