//! InfluxDB's line protocol: read and written without loss, or refused.
//!
//! Both ways hold to one rule: what is accepted here, InfluxDB 2's own parser accepts with the same
//! meaning, and InfluxDB 3's doesn't read differently. Where they disagree (as on a doubled backslash
//! in a name), nobody can know what the sender meant, so such a line is refused.
//! `docs/line-protocol.md` lists every such place, `wire/vectors/line-protocol.json` has examples.
//!
//! What this does not do: it knows no unit of time, and no limits on lines or on their number.

mod error;
mod lines;
mod names;
mod parser;
mod value;
mod writer;

use std::borrow::Cow;

use litemap::LiteMap;

use crate::{FieldValue, Name, Point};

pub use error::{LineError, LineErrorKind, WriteError, WriteErrorKind};
pub use lines::{Lines, parse};
pub use writer::write;

/// Bytes that measurement and tags, as written, may have together with one field's key and InfluxDB's
/// separator of 4 bytes between them.
const MAX_KEY_BYTES: usize = 65_535;

/// The separator in [`MAX_KEY_BYTES`].
const KEY_SEPARATOR_BYTES: usize = 4;

/// The timestamps that InfluxDB takes: it keeps three values at the ends of the range for itself.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = i64::MIN + 2..=i64::MAX - 1;

/// One line, borrowed from the text where that needs no unescaping.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The measurement's name; never empty.
    pub measurement: Cow<'a, str>,
    /// Tag keys and values in the order of the text; no key twice, nothing empty.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Field keys and values in the order of the text; at least one, no key twice.
    pub fields: Vec<(Cow<'a, str>, Value<'a>)>,
    /// The number at the line's end, in a unit that the context gives.
    pub timestamp: Option<i64>,
}

/// A field's value, borrowed where it can be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// 64-bit floating point; finite.
    Float(f64),
    /// Signed 64-bit integer: digits and the suffix `i`.
    Integer(i64),
    /// Unsigned 64-bit integer: digits and the suffix `u`.
    Unsigned(u64),
    /// `t`, `T`, `true`, `True`, `TRUE` and the same for false.
    Boolean(bool),
    /// Text in double quotes; may contain line breaks.
    String(Cow<'a, str>),
}

impl From<Line<'_>> for Point {
    fn from(line: Line<'_>) -> Self {
        Self {
            measurement: line.measurement.into(),
            tags: sorted(line.tags.into_iter().map(|(k, v)| (k.into(), v.into())).collect()),
            fields: sorted(line.fields.into_iter().map(|(k, v)| (k.into(), v.into())).collect()),
            timestamp: line.timestamp,
        }
    }
}

/// A map of entries with different keys, in the memory that they have already.
fn sorted<V>(mut entries: Vec<(Name, V)>) -> LiteMap<Name, V> {
    if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    }
    LiteMap::from_sorted_store_unchecked(entries)
}

impl From<Value<'_>> for FieldValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Float(value) => Self::Float(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Unsigned(value) => Self::Unsigned(value),
            Value::Boolean(value) => Self::Boolean(value),
            Value::String(value) => Self::String(value.into_owned()),
        }
    }
}
