//! A sample of readings from real devices, to be replayed through the gate and under sessions as they would be.
//!
//! A reading is of one device, at one time, of one series of the schema.

mod read;
mod readings;
mod replay;
mod series;

use std::{collections::BTreeMap, fmt};

use undertone::{Schema, SchemaError};

use crate::workload::{DAY, HOUR, MINUTE, Run};
use readings::Readings;
use series::AllSeries;

/// Devices with their readings, and the schema that those fit.
#[derive(Debug)]
pub struct Sample {
    /// The schema, with a measurement of its own for each series, under a made-up name: see [`Sample::title`].
    pub schema: Schema,
    titles: BTreeMap<String, String>,
    devices: Vec<Vec<Reading>>,
    days: f64,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Seconds since the sample's beginning.
    pub(crate) at: f64,
    /// Which measurement, in the order of the sample's schema.
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
        let (mut series, mut readings) = (AllSeries::new(schema), Readings::default());
        if read::is_csv(text, device) {
            read::csv(text, device, &mut series, &mut readings)?;
        } else {
            read::lines(text, device, &mut series, &mut readings)?;
        }
        if readings.devices.is_empty() {
            return Err(SampleError::Empty);
        }
        let (devices, end) = readings.ordered();
        let (schema, titles) = series.flat().map_err(SampleError::Schema)?;
        Ok(Self { schema, titles, devices, days: (end + MINUTE) / DAY })
    }

    /// What the series is called that has this measurement of the sample's schema: its measurement's name in the
    /// database, and its tags.
    pub fn title<'a>(&'a self, measurement: &'a str) -> &'a str {
        self.titles.get(measurement).map_or(measurement, String::as_str)
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
        let titles: Vec<&str> =
            csv.schema.measurements().map(|(name, _)| csv.title(name)).collect();
        assert_eq!(titles, ["app.pages.count,outcome=ok", "app.tabs.gauge"]);
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
            (
                "device,time,measurement,value\na,0,tabs,1\nb,1e308,tabs,1\n",
                "line 3: its time is no number of seconds",
            ),
            (
                "device,time,measurement,value\na,-1e308,tabs,1\n",
                "line 2: its time is no number of seconds",
            ),
            ("device,time,measurement,value\na,NaN,tabs,1\n", "line 2: `time` is no number"),
            (
                "device,time,measurement,value\na,40000000,tabs,1\nb,20000000,tabs,1\nc,1,tabs,1\n",
                "line 4: its time is more than 366 days from that of line 2; score fewer days",
            ),
            (
                "device,time,measurement,value\na,1,tabs,1\nb,20000000,tabs,1\nc,40000000,tabs,1\n",
                "line 4: its time is more than 366 days from that of line 2; score fewer days",
            ),
            (
                "device,time,measurement,value,times\na,1,tabs,1,-3\n",
                "line 2: `times` is no whole number from 1 to 1000000",
            ),
            ("tabs,device=a value=3,times=2e9 1\n", "line 1: `times` is no whole number"),
            (
                "device,time,measurement,value\n\"a\nb\",1,tabs,1\na,1,tabs,x\n",
                "line 4: `value` is no number",
            ),
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

    #[test]
    fn what_a_schema_takes_is_taken_however_its_tags_are_called() {
        let long = "a".repeat(60);
        let text = format!(
            r#"
            namespace = "app"
            [[measurement]]
            name = "opened"
            kind = "counter"
            description = "Opened."
            tags = {{ what = ["file", "host", "user", "url"], how = ["{long}", "192.168"], part = ["1.2"] }}
            [[measurement]]
            name = "opened"
            kind = "timer"
            description = "How long that took."
            "#
        );
        let schema = Schema::from_toml(&text).unwrap();
        let mut text = "device,time,measurement,value,what,how,part\n".to_owned();
        for what in ["file", "host", "user", "url"] {
            text += &format!("a,1,app.opened.count,3,{what},{long},1.2\n");
            text += &format!("a,2,app.opened.count,3,{what},192.168,1.2\n");
        }
        let sample = Sample::read(&text, &schema, "device").unwrap();
        let title = |name| sample.title(name).to_owned();
        let titles: Vec<String> =
            sample.schema.measurements().map(|(name, _)| title(name)).collect();
        assert_eq!(titles[1], "app.opened.count,how=192.168,part=1.2,what=file");
        assert_eq!(titles.len(), 8, "{titles:?}");
        let places: Vec<usize> =
            sample.devices[0].iter().map(|reading| reading.measurement).collect();
        assert_eq!(places, [0, 2, 4, 6, 1, 3, 5, 7]);

        let text = "device,time,measurement,value\na,1,opened,3\n";
        let error = Sample::read(text, &schema, "device").unwrap_err().to_string();
        assert!(error.starts_with("line 2: \"opened\" is more than one measurement"), "{error}");
    }

    /// Six tags of 60 values have 46,656,000,000 combinations.
    #[test]
    fn only_series_that_occur_are_made_and_those_are_bounded() {
        let values: Vec<String> = (0..60).map(|value| format!("\"v{value}\"")).collect();
        let values = values.join(", ");
        let tags: Vec<String> = (0..6).map(|tag| format!("t{tag} = [{values}]")).collect();
        let text = format!(
            "namespace = \"app\"\n[[measurement]]\nname = \"opened\"\nkind = \"counter\"\n\
             description = \"Opened.\"\ntags = {{ {} }}\n",
            tags.join(", ")
        );
        let schema = Schema::from_toml(&text).unwrap();
        let mut text = "device,time,measurement,value,t0,t1,t2,t3,t4,t5\n".to_owned();
        for series in 0..1_000 {
            text += &format!("a,1,opened,3,v{},v{},v0,v0,v0,v59\n", series / 60, series % 60);
        }
        let sample = Sample::read(&text, &schema, "device").unwrap();
        assert_eq!(sample.schema.measurements().count(), 1_000);
        text += "a,1,opened,3,v1,v1,v1,v1,v1,v1\n";
        let error = Sample::read(&text, &schema, "device").unwrap_err().to_string();
        let wanted = "line 1002: \"opened\" with these tags would be series number 1001, and at most 1000 can be replayed; \
                      score fewer measurements at a time";
        assert!(error.starts_with(wanted), "{error}");
    }
}
