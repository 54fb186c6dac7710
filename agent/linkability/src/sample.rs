//! A sample of readings from real devices, to be replayed through the gate and under sessions as they would be.
//!
//! A reading is of one device, at one time, of one measurement of the schema. Tags of a measurement are made part
//! of its name, since instruments with labels exist only where a program was compiled with them.

mod read;
mod replay;

use std::{collections::BTreeMap, fmt};

use undertone::{Schema, SchemaError};

use crate::workload::{HOUR, MINUTE, Run};

/// Devices with their readings, and the schema that those fit.
#[derive(Debug)]
pub struct Sample {
    /// The schema, with tags in names.
    pub schema: Schema,
    devices: Vec<Vec<Reading>>,
    days: f64,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Seconds since the sample's beginning.
    pub(crate) at: f64,
    /// Which measurement, in the order of the schema.
    pub(crate) measurement: usize,
    /// What it was; of counters and meters what was counted since the reading before.
    pub(crate) value: f64,
    /// How often it was.
    pub(crate) times: u32,
}

/// What is wrong with a sample.
#[derive(Debug)]
pub enum SampleError {
    /// A line of it, from 1, and why.
    Line(usize, String),
    /// The schema has no place for it.
    Schema(SchemaError),
    /// There is nothing in it.
    Empty,
}

/// A device that says nothing for so long was off, in seconds.
const OFF: f64 = 6.0 * HOUR;

impl Sample {
    /// Reads a sample: CSV, if its first line is a header with `time` and `measurement`, else line protocol.
    /// `device` is the column, or the tag, that tells devices apart.
    ///
    /// # Errors
    /// [`SampleError`], with the line.
    pub fn read(text: &str, schema: &Schema, device: &str) -> Result<Self, SampleError> {
        let flat = read::Flat::new(schema).map_err(SampleError::Schema)?;
        let mut devices: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
        let mut add = |device: String, reading| devices.entry(device).or_default().push(reading);
        if read::is_csv(text, device) {
            read::csv(text, device, &flat, &mut add)?;
        } else {
            read::lines(text, device, &flat, &mut add)?;
        }
        let mut devices: Vec<Vec<Reading>> = devices.into_values().collect();
        let begin = devices.iter().flatten().map(|reading| reading.at).fold(f64::MAX, f64::min);
        let mut end = 0.0_f64;
        for reading in devices.iter_mut().flatten() {
            reading.at -= begin;
            end = end.max(reading.at);
        }
        devices.iter_mut().for_each(|device| device.sort_by(|a, b| a.at.total_cmp(&b.at)));
        if devices.is_empty() {
            return Err(SampleError::Empty);
        }
        let days = (end + MINUTE) / (24.0 * HOUR);
        Ok(Self { schema: flat.schema, devices, days })
    }

    /// How many devices.
    pub fn devices(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    /// Over how many days.
    pub fn days(&self) -> f64 {
        self.days
    }

    /// When a device was on, by its readings.
    pub(crate) fn runs(&self, device: u32) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for reading in &self.devices[device as usize] {
            match runs.last_mut() {
                Some(run) if reading.at - run.end < OFF => run.end = reading.at + MINUTE,
                _ => runs.push(Run { begin: reading.at, end: reading.at + MINUTE }),
            }
        }
        runs
    }
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, why) => write!(f, "line {line}: {why}"),
            Self::Schema(error) => write!(f, "the schema: {error}"),
            Self::Empty => f.write_str("there is no reading in it"),
        }
    }
}

impl std::error::Error for SampleError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let text = r#"
            namespace = "app"
            [[measurement]]
            name = "pages"
            kind = "counter"
            description = "Pages."
            tags = { outcome = ["ok", "failed"] }
            [[measurement]]
            name = "tabs"
            kind = "gauge-integer"
            description = "Tabs."
            buckets = [0, 1, 5]
        "#;
        Schema::from_toml(text).unwrap()
    }

    fn read(text: &str) -> Result<Sample, String> {
        Sample::read(text, &schema(), "device").map_err(|error| error.to_string())
    }

    #[test]
    fn both_formats_say_the_same() {
        let csv =
            "device,time,measurement,value,outcome\na,100,pages,3,ok\nb,160.5,app.tabs.gauge,4,\n";
        let lines = "pages,device=a,outcome=ok value=3i 100000000000\n\
                     app.tabs.gauge,device=b value=4 160500000000\n";
        let (csv, lines) = (read(csv).unwrap(), read(lines).unwrap());
        assert_eq!(csv.devices, lines.devices);
        assert_eq!((csv.devices(), csv.devices[1][0].at), (2, 60.5));
        let names: Vec<&str> = csv.schema.measurements().map(|(name, _)| name).collect();
        let flat =
            ["app.pages.outcome.failed.count", "app.pages.outcome.ok.count", "app.tabs.gauge"];
        assert_eq!(names, flat);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            (
                "device,time,measurement,value\na,1,other,3\n",
                "line 2: \"other\" is not in the schema",
            ),
            ("device,time,measurement,value\na,1,tabs,x\n", "line 2: `value` is no number"),
            ("device,time,measurement,value\na,1,pages,1\n", "line 2: `outcome` is missing"),
            (
                "device,time,measurement,value,outcome\na,1,pages,1,maybe\n",
                "line 2: `outcome` has a value",
            ),
            ("tabs value=3 1\n", "line 1: no tag `device`"),
            ("tabs,device=a value=3\n", "line 1: no time"),
            ("", "there is no reading in it"),
        ] {
            let got = read(text).unwrap_err();
            assert!(got.starts_with(error), "{text:?}: {got}");
        }
    }

    #[test]
    fn a_device_that_says_nothing_for_hours_was_off() {
        let sample =
            read("device,time,measurement,value\na,0,tabs,1\na,60,tabs,1\na,90000,tabs,1\n");
        let runs = sample.unwrap().runs(0);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].begin, runs[0].end, runs[1].begin), (0.0, 120.0, 90_000.0));
    }
}
