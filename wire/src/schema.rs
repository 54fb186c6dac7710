//! A schema: everything that may leave, by name. What isn't in it doesn't.
//!
//! Agent and proxy hold the same one: the agent's gate lets nothing else out, the proxy lets nothing
//! else in (invariant P2). A tag has a closed list of values and no field is text, so neither can
//! carry what its author didn't write down. Interval and names are the schema's, not the wire's.

mod declared;
mod difference;
pub(crate) mod digits;
mod measurement;
mod names;
mod pace;
mod page;
mod text;
mod version;
mod within;

use std::{collections::BTreeMap, time::Duration};

use crate::{FieldValue, Point, Tags, reading::Reading};

pub use difference::{Change, Direction};
pub use digits::Digits;
pub use measurement::{COARSE_BUCKETS, Measurement, Precision};
pub use pace::{FASTEST, LONGEST_SPAN, Pace, longest_span};
pub use text::SchemaError;

/// The interval of a schema that names none: one minute.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// The tag that only the proxy writes.
pub const SESSION_TAG: &str = "session";

/// What one namespace may say.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    namespace: String,
    interval: Duration,
    open: bool,
    measurements: BTreeMap<String, Measurement>,
}

/// The instruments of go-metrics, whose export names they keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Fields `count` (total within the session) and `delta` (this interval's).
    Counter,
    /// Field `value`, an integer.
    GaugeInteger,
    /// Field `value`, a floating-point number.
    GaugeFloat,
    /// Fields `count`, `delta`, and events a second: `m1`, `m5`, `m15`, `mean`.
    Meter,
    /// Fields `count`, `delta`, `sum`, `min`, `max`, mean, spread and percentiles.
    Histogram,
    /// A meter and a histogram of nanoseconds.
    Timer,
}

/// Why a schema doesn't allow a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No measurement of this name is declared.
    #[error("measurement not declared")]
    Measurement,
    /// The tags are not exactly those declared.
    #[error("tag not declared, or missing")]
    Tag,
    /// A tag has a value that isn't allowed.
    #[error("tag value not allowed")]
    TagValue,
    /// The fields are not those of the measurement's kind.
    #[error("fields of another kind of instrument")]
    Fields,
    /// A gauge has a value between its buckets.
    #[error("value not one of the buckets")]
    Bucket,
    /// A value is outside of the range.
    #[error("value out of range")]
    Range,
    /// A number has more significant digits than are allowed.
    #[error("number not rounded")]
    Digits,
    /// More was counted than can happen in the time.
    #[error("more than can happen in the time")]
    Pace,
    /// A point from elsewhere has no time, or one outside what is taken.
    #[error("no time, or one too far from now")]
    Time,
}

impl Kind {
    /// How it is called in a schema file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::GaugeInteger => "gauge-integer",
            Self::GaugeFloat => "gauge-float",
            Self::Meter => "meter",
            Self::Histogram => "histogram",
            Self::Timer => "timer",
        }
    }

    /// Whether it is one of the two gauges.
    pub fn is_gauge(self) -> bool {
        matches!(self, Self::GaugeInteger | Self::GaugeFloat)
    }

    /// What the measurement's name in the database ends in.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "count",
            Self::GaugeInteger | Self::GaugeFloat => "gauge",
            Self::Meter => "meter",
            Self::Histogram => "histogram",
            Self::Timer => "timer",
        }
    }
}

impl Schema {
    /// A schema of `namespace`, checked.
    ///
    /// # Errors
    /// [`SchemaError`] if a name has other characters than `a-z0-9_` (and dots between), carries identity,
    /// or is declared twice; if a list is empty where it must not be; if something is finer than it may be
    /// without being linkable.
    pub fn new(
        namespace: &str,
        interval: Duration,
        measurements: impl IntoIterator<Item = Measurement>,
    ) -> Result<Self, SchemaError> {
        names::check_name("namespace", namespace)?;
        text::check_interval(interval)?;
        let mut schema = Self {
            namespace: namespace.to_owned(),
            interval,
            open: false,
            measurements: BTreeMap::new(),
        };
        for measurement in measurements {
            measurement.check()?;
            let name = schema.full_name(&measurement.name, measurement.kind);
            if schema.measurements.insert(name, measurement).is_some() {
                return Err(SchemaError::new("name", "declared twice"));
            }
        }
        Ok(schema)
    }

    /// A schema that takes any point from elsewhere, under its own name and with its own time: for
    /// machines of one's own (profile `fleet`), where invariants P2 and P6 are given up openly.
    ///
    /// # Errors
    /// [`SchemaError`] if `namespace` is no name.
    pub fn open(namespace: &str) -> Result<Self, SchemaError> {
        Ok(Self { open: true, ..Self::new(namespace, DEFAULT_INTERVAL, [])? })
    }

    /// Whether points that aren't declared are taken, too.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The namespace, with which every declared measurement's name begins.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The time between two snapshots.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The same schema with another interval. Agent and proxy must hold the same.
    ///
    /// # Errors
    /// [`SchemaError`] unless it is whole seconds, at least one.
    pub fn every(mut self, interval: Duration) -> Result<Self, SchemaError> {
        text::check_interval(interval)?;
        self.interval = interval;
        Ok(self)
    }

    /// The same schema with all digits of every number, for machines of one's own: everything in it is
    /// linkable then, but gauges keep their buckets. Agent and proxy must hold the same.
    #[must_use]
    pub fn exact(mut self) -> Self {
        for measurement in self.measurements.values_mut() {
            if measurement.buckets.is_empty() {
                measurement.digits = Digits::All;
                measurement.linkable = true;
            }
        }
        self
    }

    /// The measurements that are so fine that a machine might be recognized by them, with their names in
    /// the database. Whoever is asked for consent must be told.
    pub fn linkable(&self) -> impl Iterator<Item = (&str, &Measurement)> {
        self.measurements().filter(|(_, measurement)| measurement.linkable)
    }

    /// The measurements with their names in the database, in the order of those.
    pub fn measurements(&self) -> impl Iterator<Item = (&str, &Measurement)> {
        self.measurements.iter().map(|(name, measurement)| (name.as_str(), measurement))
    }

    /// The measurement that the database calls `name`.
    pub fn measurement(&self, name: &str) -> Option<&Measurement> {
        self.measurements.get(name)
    }

    /// `<namespace>.<name>.<kind>`.
    pub fn full_name(&self, name: &str, kind: Kind) -> String {
        format!("{}.{name}.{}", self.namespace, kind.suffix())
    }

    /// The declaration of a measurement, if it allows these tags.
    ///
    /// # Errors
    /// [`Refusal::Measurement`], [`Refusal::Tag`] or [`Refusal::TagValue`].
    pub fn declared(&self, name: &str, tags: &Tags) -> Result<&Measurement, Refusal> {
        let measurement = self.measurement(name).ok_or(Refusal::Measurement)?;
        measurement.check_tags(tags)?;
        Ok(measurement)
    }

    /// Whether this schema, which must be open, takes a point from elsewhere: no tag that a database or
    /// the proxy has a meaning of its own for, numbers or booleans only, and a time in nanoseconds
    /// since 1970.
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn check_open(&self, point: &Point) -> Result<(), Refusal> {
        if !self.open || self.measurements.contains_key(point.measurement.as_str()) {
            return Err(Refusal::Measurement);
        }
        if point.tags.keys().any(|key| key == SESSION_TAG || names::is_reserved(key)) {
            return Err(Refusal::Tag);
        }
        let travels = |value: &FieldValue| !matches!(value, FieldValue::String(_));
        if point.fields.is_empty() || !point.fields.values().all(travels) {
            return Err(Refusal::Fields);
        }
        point.timestamp.filter(|time| *time >= 0).map(drop).ok_or(Refusal::Time)
    }

    /// Reads a point of a batch as this schema declares it.
    ///
    /// # Errors
    /// [`Refusal`] if it is anything that the schema doesn't declare.
    pub fn read(&self, point: &Point) -> Result<Reading, Refusal> {
        let measurement = self.declared(&point.measurement, &point.tags)?;
        let reading =
            Reading::from_fields(measurement.kind, &point.fields).ok_or(Refusal::Fields)?;
        measurement.check_coarseness(&reading)?;
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::from_toml(
            r#"
            namespace = "fileserver"
            interval_seconds = 10

            [[measurement]]
            name = "connections"
            kind = "counter"
            description = "Connections accepted."
            tags = { outcome = ["ok", "failed"] }

            [[measurement]]
            name = "open"
            kind = "gauge-integer"
            description = "Files being sent now."
            buckets = [0, 1, 5]
            "#,
        )
        .unwrap()
    }

    fn connections() -> Point {
        Point::new("fileserver.connections.count")
            .tag("outcome", "ok")
            .field("count", 3_i64)
            .field("delta", 1_i64)
            .at(0)
    }

    #[test]
    fn p2_what_is_declared_is_read() {
        assert_eq!(schema().read(&connections()), Ok(Reading::Counter { count: 3, delta: 1 }));
    }

    #[test]
    fn p2_what_is_not_declared_is_refused() {
        let open = || Point::new("fileserver.open.gauge");
        for (point, refusal) in [
            (Point::new("other.connections.count"), Refusal::Measurement),
            (connections().tag("host", "mine"), Refusal::Tag),
            (open().tag("outcome", "ok").field("value", 1_i64), Refusal::Tag),
            (connections().tag("outcome", "maybe"), Refusal::TagValue),
            (connections().field("extra", 1_i64), Refusal::Fields),
            (connections().field("count", 1.5), Refusal::Fields),
            (open().field("value", 1.0), Refusal::Fields),
            (open().field("value", 3_i64), Refusal::Bucket),
        ] {
            assert_eq!(schema().read(&point), Err(refusal), "{point:?}");
        }
    }

    #[test]
    fn p2_an_open_schema_takes_what_nobody_declared_and_never_a_session() {
        let open = Schema::open("fleet").unwrap();
        let load = || Point::new("system").tag("host", "attic").field("load1", 0.5).at(1);
        assert_eq!(open.check_open(&load()), Ok(()));
        assert_eq!(schema().check_open(&load()), Err(Refusal::Measurement), "not open");
        for (point, refusal) in [
            (load().tag("session", "mine"), Refusal::Tag),
            (load().tag("time", "now"), Refusal::Tag),
            (load().field("uptime_format", "1 day"), Refusal::Fields),
            (Point::new("system").at(1), Refusal::Fields),
            (load().at(-1), Refusal::Time),
            (Point { timestamp: None, ..load() }, Refusal::Time),
        ] {
            assert_eq!(open.check_open(&point), Err(refusal), "{point:?}");
        }
    }

    #[test]
    fn p11_a_gauge_leaves_as_its_bucket() {
        let schema = schema();
        let open = schema.measurement("fileserver.open.gauge").unwrap();
        for (value, bucket) in [(-3, 0), (0, 0), (1, 1), (4, 1), (5, 5), (i64::MAX, 5)] {
            let left = open.coarsen(&Reading::GaugeInteger(value));
            assert_eq!(left, Reading::GaugeInteger(bucket));
        }
    }
}
