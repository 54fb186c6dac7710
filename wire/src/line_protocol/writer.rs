//! A point into one line.

use std::fmt::Write as _;

use super::error::{WriteError, WriteErrorKind};
use super::names::Name;
use super::{KEY_SEPARATOR_BYTES, MAX_KEY_BYTES, TIMESTAMPS};
use crate::{FieldValue, Point};

/// Below this, every whole number has a 64-bit float of its own, and its digits are its shortest text.
const EXACT_WHOLE: f64 = 1e15;

/// Appends `point` to `out` as one line with its line break: tags and fields sorted by key, floats as
/// the shortest text that reads back as the same number.
///
/// Equal points become equal bytes, and [`parse`](super::parse) reads back an equal point.
///
/// # Errors
///
/// If line protocol can't say it, or not so that every parser reads the same ([`WriteErrorKind`]);
/// `out` is then as it was.
///
/// ```
/// use undertone_wire::{Point, line_protocol::write};
///
/// let mut text = String::new();
/// write(&Point::new("disk").tag("path", "/my data").field("free", 0.5).at(7), &mut text)?;
/// assert_eq!(text, "disk,path=/my\\ data free=0.5 7\n");
/// # Ok::<(), undertone_wire::line_protocol::WriteError>(())
/// ```
pub fn write(point: &Point, out: &mut String) -> Result<(), WriteError> {
    let before = out.len();
    let result = write_line(point, out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

fn write_line(point: &Point, out: &mut String) -> Result<(), WriteError> {
    let start = out.len();
    if point.measurement.starts_with('#') {
        return Err(WriteError::new(WriteErrorKind::Comment, &point.measurement));
    }
    write_name(Name::Measurement, &point.measurement, out)?;
    for (key, value) in &point.tags {
        out.push(',');
        write_name(Name::TagKey, key, out)?;
        out.push('=');
        write_name(Name::TagValue, value, out)?;
    }
    write_fields(point, out.len() - start, out)?;
    if let Some(timestamp) = point.timestamp {
        if !TIMESTAMPS.contains(&timestamp) {
            return Err(WriteError::new(WriteErrorKind::TimestampOutOfRange, ""));
        }
        // Writing to a string never fails.
        let _ = write!(out, " {timestamp}");
    }
    out.push('\n');
    Ok(())
}

/// Appends the fields; measurement and tags took `key_bytes`.
fn write_fields(point: &Point, key_bytes: usize, out: &mut String) -> Result<(), WriteError> {
    if point.fields.is_empty() {
        return Err(WriteError::new(WriteErrorKind::NoFields, &point.measurement));
    }
    let mut separator = ' ';
    for (key, value) in &point.fields {
        out.push(separator);
        separator = ',';
        let begin = out.len();
        write_name(Name::FieldKey, key, out)?;
        if key_bytes + KEY_SEPARATOR_BYTES + (out.len() - begin) > MAX_KEY_BYTES {
            return Err(WriteError::new(WriteErrorKind::KeyTooLong, key));
        }
        out.push('=');
        write_value(key, value, out)?;
    }
    Ok(())
}

fn write_name(part: Name, name: &str, out: &mut String) -> Result<(), WriteError> {
    if name.is_empty() {
        let kind = match part {
            Name::Measurement => WriteErrorKind::EmptyMeasurement,
            Name::TagKey => WriteErrorKind::EmptyTagKey,
            Name::TagValue => WriteErrorKind::EmptyTagValue,
            Name::FieldKey => WriteErrorKind::EmptyFieldKey,
        };
        return Err(WriteError::new(kind, ""));
    }
    if part.is_reserved(name) {
        return Err(WriteError::new(WriteErrorKind::ReservedName, name));
    }
    part.write(name, out).map_err(|kind| WriteError::new(kind, name))
}

fn write_value(key: &str, value: &FieldValue, out: &mut String) -> Result<(), WriteError> {
    match value {
        FieldValue::Float(value) if !value.is_finite() => {
            return Err(WriteError::new(WriteErrorKind::NotFinite, key));
        }
        FieldValue::Float(value) => write_float(*value, out),
        // Writing to a string never fails.
        FieldValue::Integer(value) => _ = write!(out, "{value}i"),
        FieldValue::Unsigned(value) => _ = write!(out, "{value}u"),
        FieldValue::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        FieldValue::String(value) => write_string(value, out),
    }
    Ok(())
}

/// Appends the shortest decimal text that reads back as `value`.
fn write_float(value: f64, out: &mut String) {
    if value.abs() < EXACT_WHOLE && value.fract() == 0.0 {
        if value == 0.0 && value.is_sign_negative() {
            out.push('-');
        }
        // In range, as was just checked.
        let _ = write!(out, "{}", value as i64);
        return;
    }
    // `Debug` chooses the exponent form where that is shorter; `Display` never does.
    let _ = write!(out, "{value:?}");
    if out.ends_with(".0") {
        out.truncate(out.len() - 2);
    }
}

fn write_string(value: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if matches!(byte, b'"' | b'\\') {
            out.push_str(&value[plain..at]);
            out.push('\\');
            plain = at;
        }
    }
    out.push_str(&value[plain..]);
    out.push('"');
}
