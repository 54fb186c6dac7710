//! A schema as a TOML text: what is wrong in it is told with line and key.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{DEFAULT_INTERVAL, Digits, Kind, Measurement, Schema};

/// What is wrong with a schema, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// The line of the text, from 1; none where the schema was built in code.
    pub line: Option<usize>,
    /// The key whose value is wrong; empty where the text isn't TOML.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SchemaError {
    pub(super) fn new(key: &str, reason: impl Into<String>) -> Self {
        Self { line: None, key: key.to_owned(), reason: reason.into() }
    }

    fn at(self, text: &str, offset: usize) -> Self {
        Self { line: Some(line_of(text, offset)), ..self }
    }
}

impl std::fmt::Display for SchemaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for SchemaError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    namespace: Spanned<String>,
    interval_seconds: Option<Spanned<u32>>,
    #[serde(default)]
    open: bool,
    #[serde(default, rename = "measurement")]
    measurements: Vec<Spanned<RawMeasurement>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeasurement {
    name: Spanned<String>,
    kind: Kind,
    description: Spanned<String>,
    unit: Option<Spanned<String>>,
    tags: Option<Spanned<BTreeMap<String, Vec<String>>>>,
    buckets: Option<Spanned<Vec<f64>>>,
    digits: Option<Spanned<RawDigits>>,
    range: Option<Spanned<[f64; 2]>>,
    max_per_second: Option<Spanned<u64>>,
    linkable: Option<Spanned<bool>>,
}

/// A number, or `"all"`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "digits are a number from 1 to 15, or \"all\"")]
enum RawDigits {
    Rounded(u8),
    All(All),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

#[derive(Serialize)]
struct WrittenSchema<'a> {
    namespace: &'a str,
    interval_seconds: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    open: bool,
    #[serde(rename = "measurement", skip_serializing_if = "Vec::is_empty")]
    measurements: Vec<WrittenMeasurement<'a>>,
}

/// What isn't the default is written; tags last, since they are a table.
#[derive(Serialize)]
struct WrittenMeasurement<'a> {
    name: &'a str,
    kind: Kind,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "<[f64]>::is_empty")]
    buckets: &'a [f64],
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<RawDigits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_second: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    linkable: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, Vec<String>>,
}

impl Schema {
    /// Reads a schema file.
    ///
    /// # Errors
    /// [`SchemaError`] with line and key.
    pub fn from_toml(text: &str) -> Result<Self, SchemaError> {
        let raw: RawSchema = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            SchemaError::new("", error.message()).at(text, offset)
        })?;
        let namespace_at = raw.namespace.span().start;
        let (interval, interval_at) = match raw.interval_seconds {
            Some(seconds) => {
                let at = seconds.span().start;
                (Duration::from_secs(seconds.into_inner().into()), at)
            }
            None => (DEFAULT_INTERVAL, 0),
        };
        let mut schema = Self::new(raw.namespace.get_ref(), interval, []).map_err(|error| {
            let at = if error.key == "namespace" { namespace_at } else { interval_at };
            error.at(text, at)
        })?;
        schema.open = raw.open;
        for raw in raw.measurements {
            let at = raw.span().start;
            let raw = raw.into_inner();
            let place = |key: &str| raw.place_of(key).unwrap_or(at);
            let measurement = Measurement::from(&raw);
            measurement.check().map_err(|error| {
                let at = place(&error.key);
                error.at(text, at)
            })?;
            let full_name = schema.full_name(&measurement.name, measurement.kind);
            if schema.measurements.insert(full_name, measurement).is_some() {
                return Err(SchemaError::new("name", "declared twice").at(text, place("name")));
            }
        }
        Ok(schema)
    }

    /// The schema as a file that [`Schema::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        let written = WrittenSchema {
            namespace: &self.namespace,
            interval_seconds: self.interval.as_secs(),
            open: self.open,
            measurements: self.measurements.values().map(WrittenMeasurement::from).collect(),
        };
        // Tables of strings, integers and lists: nothing that TOML can't express.
        toml::to_string(&written).unwrap_or_default()
    }
}

impl RawMeasurement {
    /// Where a key's value stands, if the key is there.
    fn place_of(&self, key: &str) -> Option<usize> {
        fn start<T>(value: &Option<Spanned<T>>) -> Option<usize> {
            value.as_ref().map(|value| value.span().start)
        }
        match key {
            "name" => Some(self.name.span().start),
            "description" => Some(self.description.span().start),
            "unit" => start(&self.unit),
            "tags" => start(&self.tags),
            "buckets" => start(&self.buckets),
            "digits" => start(&self.digits),
            "range" => start(&self.range),
            "max_per_second" => start(&self.max_per_second),
            "linkable" => start(&self.linkable),
            _ => None,
        }
    }
}

impl From<&RawMeasurement> for Measurement {
    fn from(raw: &RawMeasurement) -> Self {
        fn value<T: Clone>(value: &Option<Spanned<T>>) -> Option<T> {
            value.as_ref().map(|value| value.get_ref().clone())
        }
        Self {
            name: raw.name.get_ref().clone(),
            kind: raw.kind,
            description: raw.description.get_ref().clone(),
            unit: value(&raw.unit),
            tags: value(&raw.tags).unwrap_or_default(),
            buckets: value(&raw.buckets).unwrap_or_default(),
            digits: match value(&raw.digits) {
                Some(RawDigits::Rounded(digits)) => Digits::Rounded(digits),
                Some(RawDigits::All(All::All)) => Digits::All,
                None => Digits::default(),
            },
            range: value(&raw.range),
            max_per_second: value(&raw.max_per_second),
            linkable: value(&raw.linkable).unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a Measurement> for WrittenMeasurement<'a> {
    fn from(measurement: &'a Measurement) -> Self {
        let digits = match measurement.digits {
            digits if digits == Digits::default() => None,
            Digits::Rounded(digits) => Some(RawDigits::Rounded(digits)),
            Digits::All => Some(RawDigits::All(All::All)),
        };
        Self {
            name: &measurement.name,
            kind: measurement.kind,
            description: &measurement.description,
            unit: measurement.unit.as_deref(),
            buckets: &measurement.buckets,
            digits,
            range: measurement.range,
            max_per_second: measurement.max_per_second,
            linkable: measurement.linkable,
            tags: &measurement.tags,
        }
    }
}

pub(super) fn check_interval(interval: Duration) -> Result<(), SchemaError> {
    if interval.is_zero() || interval.subsec_nanos() != 0 {
        return Err(SchemaError::new(
            "interval_seconds",
            "an interval is 1 second or more, in whole seconds",
        ));
    }
    Ok(())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"namespace = "fileserver"
interval_seconds = 10

[[measurement]]
name = "latency"
kind = "timer"
description = "Time to answer."
digits = "all"
range = [0.0, 1000.0]
max_per_second = 500
linkable = true

[measurement.tags]
outcome = ["ok", "failed"]

[[measurement]]
name = "size"
kind = "gauge-integer"
description = "Size."
unit = "bytes"
buckets = [0.0, 1.0, 10.0]
digits = 1
"#;

    #[test]
    fn a_schema_is_read_as_it_is_written() {
        assert_eq!(Schema::from_toml(GOOD).unwrap().to_toml(), GOOD);
        let open = Schema::open("fleet").unwrap();
        assert_eq!(Schema::from_toml(&open.to_toml()), Ok(open));
    }

    #[test]
    fn errors_name_line_and_key() {
        for (from, to, line, key) in [
            ("fileserver", "File Server", 1, "namespace"),
            ("= 10\n", "= 0\n", 2, "interval_seconds"),
            ("= 10\n", "= \"ten\"\n", 2, ""),
            ("\"timer\"", "\"clock\"", 6, ""),
            ("\"latency\"", "\"../etc\"", 5, "name"),
            ("\"latency\"", "\"host.latency\"", 5, "name"),
            ("Time to answer.", " ", 7, "description"),
            ("Time to answer.", "Time\\u001b[2J.", 7, "description"),
            ("Time to answer.", "Time\u{202e}.", 7, "description"),
            ("\"all\"", "\"some\"", 8, ""),
            ("\"all\"", "16", 8, "digits"),
            ("\"all\"", "2", 11, "linkable"),
            ("linkable = true\n", "", 8, "digits"),
            ("[0.0, 1000.0]", "[0, 0]", 9, "range"),
            ("[0.0, 1000.0]", "[0, 0.5]", 9, "range"),
            ("[0.0, 1000.0]", "[0]", 9, ""),
            ("= 500", "= 0", 10, "max_per_second"),
            ("= 500", "= -1", 10, ""),
            ("digits = 1", "max_per_second = 1", 22, "max_per_second"),
            ("outcome =", "session =", 13, "tags"),
            ("outcome =", "time =", 13, "tags"),
            ("outcome =", "_field =", 13, "tags"),
            ("outcome =", "user =", 13, "tags"),
            ("\"failed\"", "\"a b\"", 13, "tags"),
            ("\"ok\", \"failed\"", "", 13, "tags"),
            ("\"failed\"", "\"10.1.2.3\"", 13, "tags"),
            ("kind =", "kin =", 6, ""),
            ("\"bytes\"", "\"of a byte\"", 20, "unit"),
            ("digits = \"all\"", "unit = \"s\"", 8, "unit"),
            ("[0.0, 1.0, 10.0]", "[0, 2, 1]", 21, "buckets"),
            ("[0.0, 1.0, 10.0]", "[0, 0.5]", 21, "buckets"),
            ("[0.0, 1.0, 10.0]", "[0, 1, 2, 3, 4, 5, 6, 7, 8]", 21, "buckets"),
            ("buckets = [0.0, 1.0, 10.0]\n", "", 16, "buckets"),
            ("gauge-integer", "counter", 21, "buckets"),
            ("digits = 1", "range = [0, 1]", 22, "range"),
        ] {
            let error = Schema::from_toml(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (Some(line), key), "{to}: {error}");
        }
    }

    #[test]
    fn a_name_is_declared_once() {
        let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[").unwrap()..]);
        let error = Schema::from_toml(&twice).unwrap_err();
        assert_eq!((error.line, error.key.as_str()), (Some(24), "name"));
    }
}
