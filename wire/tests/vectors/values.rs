//! How bytes, field values and points stand in the files: numbers as text, since JSON's own lose bits.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use undertone_wire::{FieldValue, Fields, Point};

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Value {
    Float(String),
    Integer(String),
    Unsigned(String),
    Boolean(bool),
    String(String),
}

pub(crate) type Values = BTreeMap<String, Value>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenPoint {
    measurement: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    fields: Values,
    /// Intervals before sealing.
    intervals: String,
}

pub(crate) fn write_fields(fields: &Fields) -> Values {
    fields.iter().map(|(key, value)| (key.to_string(), value.into())).collect()
}

pub(crate) fn read_fields(values: &Values) -> Fields {
    let read = |value: &Value| match value {
        Value::Float(text) => FieldValue::Float(text.parse().unwrap()),
        Value::Integer(text) => FieldValue::Integer(text.parse().unwrap()),
        Value::Unsigned(text) => FieldValue::Unsigned(text.parse().unwrap()),
        Value::Boolean(value) => FieldValue::Boolean(*value),
        Value::String(text) => FieldValue::String(text.clone()),
    };
    values.iter().map(|(key, value)| (key.into(), read(value))).collect()
}

impl From<&FieldValue> for Value {
    fn from(value: &FieldValue) -> Self {
        match value {
            // The shortest text that reads back as the same number.
            FieldValue::Float(value) => Self::Float(format!("{value:?}")),
            FieldValue::Integer(value) => Self::Integer(value.to_string()),
            FieldValue::Unsigned(value) => Self::Unsigned(value.to_string()),
            FieldValue::Boolean(value) => Self::Boolean(*value),
            FieldValue::String(value) => Self::String(value.clone()),
        }
    }
}

impl From<Point> for WrittenPoint {
    fn from(point: Point) -> Self {
        Self {
            measurement: point.measurement.into(),
            tags: point.tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            fields: write_fields(&point.fields),
            intervals: point.timestamp.unwrap().to_string(),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap_or_else(|error| panic!("{hex}: {error}"))
}

pub(crate) fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap_or_else(|_| panic!("{hex}: not {N} bytes"))
}
