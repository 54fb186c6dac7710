//! A schema as a TOML text, and the rules for the names in it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{DEFAULT_INTERVAL, Kind, Measurement, SESSION_TAG, Schema};

/// Tags that InfluxDB has a meaning of its own for; line protocol can't carry them.
const RESERVED_TAGS: [&str; 3] = ["time", "_field", "_measurement"];

/// Below this, floating-point numbers hold every whole number exactly.
const WHOLE_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The longest name, in characters.
const NAME_LIMIT: usize = 64;

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeasurement {
    name: String,
    kind: Kind,
    description: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<f64>,
}

#[derive(Serialize)]
struct WrittenSchema<'a> {
    namespace: &'a str,
    interval_seconds: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    open: bool,
    #[serde(rename = "measurement", skip_serializing_if = "Vec::is_empty")]
    measurements: Vec<RawMeasurement>,
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
            let RawMeasurement { name, kind, description, tags, buckets } = raw.into_inner();
            let measurement = Measurement { name, kind, description, tags, buckets };
            check_measurement(&measurement).map_err(|error| error.at(text, at))?;
            let full_name = schema.full_name(&measurement.name, kind);
            if schema.measurements.insert(full_name, measurement).is_some() {
                return Err(SchemaError::new("name", "declared twice").at(text, at));
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
            measurements: self
                .measurements
                .values()
                .cloned()
                .map(|Measurement { name, kind, description, tags, buckets }| RawMeasurement {
                    name,
                    kind,
                    description,
                    tags,
                    buckets,
                })
                .collect(),
        };
        // Tables of strings, integers and lists: nothing that TOML can't express.
        toml::to_string(&written).unwrap_or_default()
    }
}

/// Whether a database has a meaning of its own for a tag.
pub(super) fn is_reserved(tag: &str) -> bool {
    RESERVED_TAGS.contains(&tag)
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

pub(super) fn check_measurement(measurement: &Measurement) -> Result<(), SchemaError> {
    check_name("name", &measurement.name)?;
    if measurement.description.trim().is_empty() {
        return Err(SchemaError::new("description", "say what users should be told that this is"));
    }
    if !measurement.buckets.is_sorted_by(|a, b| a < b) {
        return Err(SchemaError::new("buckets", "must ascend"));
    }
    let whole = |bucket: &f64| bucket.fract() == 0.0 && bucket.abs() < WHOLE_LIMIT;
    match measurement.kind {
        _ if measurement.buckets.is_empty() => {}
        Kind::GaugeInteger if measurement.buckets.iter().all(whole) => {}
        Kind::GaugeInteger => {
            return Err(SchemaError::new("buckets", "must be whole, as the gauge's values are"));
        }
        Kind::GaugeFloat if measurement.buckets.iter().all(|bucket| bucket.is_finite()) => {}
        _ => {
            return Err(SchemaError::new("buckets", "only a gauge has buckets, of finite numbers"));
        }
    }
    for (key, values) in &measurement.tags {
        check_name("tags", key)?;
        if key == SESSION_TAG {
            return Err(SchemaError::new(
                "tags",
                "`session` is the tag that the ingest proxy writes",
            ));
        }
        if is_reserved(key) {
            return Err(SchemaError::new("tags", format!("InfluxDB refuses `{key}` as a tag")));
        }
        if values.is_empty() {
            return Err(SchemaError::new("tags", format!("`{key}` needs at least one value")));
        }
        for value in values {
            check_name("tags", value)?;
        }
    }
    Ok(())
}

/// Names are `a-z0-9_`, in parts between dots: the same in every database, without any escaping.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), SchemaError> {
    let well_formed = name.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    });
    if well_formed && name.len() <= NAME_LIMIT {
        return Ok(());
    }
    let shown: String = name.chars().take(20).collect();
    Err(SchemaError::new(
        key,
        format!("{shown:?} is no name: at most {NAME_LIMIT} of a-z, 0-9, _ and dots between them"),
    ))
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

[measurement.tags]
outcome = ["ok", "failed"]
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
            ("= 10", "= 0", 2, "interval_seconds"),
            ("= 10", "= \"ten\"", 2, ""),
            ("\"timer\"", "\"clock\"", 6, ""),
            ("\"latency\"", "\"../etc\"", 4, "name"),
            ("Time to answer.", " ", 4, "description"),
            ("outcome =", "session =", 4, "tags"),
            ("outcome =", "time =", 4, "tags"),
            ("outcome =", "_field =", 4, "tags"),
            ("\"failed\"", "\"a b\"", 4, "tags"),
            ("kind =", "kin =", 6, ""),
        ] {
            let error = Schema::from_toml(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (Some(line), key), "{to}: {error}");
        }
    }

    #[test]
    fn a_name_is_declared_once() {
        let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[").unwrap()..]);
        let error = Schema::from_toml(&twice).unwrap_err();
        assert_eq!((error.line, error.key.as_str()), (Some(11), "name"));
    }
}
