//! A point: what one measurement said at one moment, in the terms of InfluxDB's data model.

use compact_str::CompactString;
use litemap::LiteMap;

/// A measurement's name, a key or a tag's value: up to 24 bytes stand in place, without an allocation.
pub type Name = CompactString;

/// Tag keys and values, sorted by key.
pub type Tags = LiteMap<Name, Name>;

/// Field keys and values, sorted by key.
pub type Fields = LiteMap<Name, FieldValue>;

/// One measurement's tags and fields at one moment.
///
/// Tags and fields are kept sorted by key, so that equal points are written as equal bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// The measurement's name.
    pub measurement: Name,
    /// Tag keys and values; neither may be empty.
    pub tags: Tags,
    /// Field keys and values; at least one.
    pub fields: Fields,
    /// A number whose unit the context gives: nanoseconds since 1970 where a database is meant,
    /// intervals before sealing inside a parcel.
    pub timestamp: Option<i64>,
}

/// A field's value, in the types of InfluxDB.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// 64-bit floating point; finite wherever it is written.
    Float(f64),
    /// Signed 64-bit integer, written with the suffix `i`.
    Integer(i64),
    /// Unsigned 64-bit integer, written with the suffix `u`.
    Unsigned(u64),
    /// True or false.
    Boolean(bool),
    /// Text, written in double quotes.
    String(String),
}

impl Point {
    /// A point of `measurement` that has no tags and no fields yet.
    pub fn new(measurement: impl Into<Name>) -> Self {
        Self { measurement: measurement.into(), ..Self::default() }
    }

    /// The same point with a tag set.
    #[must_use]
    pub fn tag(mut self, key: impl Into<Name>, value: impl Into<Name>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// The same point with a field set.
    #[must_use]
    pub fn field(mut self, key: impl Into<Name>, value: impl Into<FieldValue>) -> Self {
        self.fields.insert(key.into(), value.into());
        self
    }

    /// The same point at a moment.
    #[must_use]
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

impl From<f64> for FieldValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for FieldValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u64> for FieldValue {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for FieldValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}
