//! What other parsers read in a text, and in which ways one of them may refuse what is accepted here.

use influxdb_line_protocol::{FieldValue as Theirs, ParsedLine, parse_lines};
use undertone_wire::line_protocol::write;
use undertone_wire::{FieldValue, Point};

use crate::{among, same};

/// What a parser read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The points of the lines that it accepted.
    pub(crate) points: Vec<Point>,
    /// Whether it refused nothing.
    pub(crate) complete: bool,
}

/// What the crate `influxdb-line-protocol` reads in a text.
pub(crate) fn influxdb_line_protocol(text: &str) -> Reading {
    let lines: Vec<_> = parse_lines(text).collect();
    let complete = lines.iter().all(Result::is_ok);
    Reading { points: lines.iter().flatten().map(point).collect(), complete }
}

/// Asserts that `influxdb-line-protocol` reads the same `points` in `text`.
///
/// It refuses two ways of writing that InfluxDB 2 accepts: numbers without a digit on one side of
/// their point, and spaces at the end of a line that has no timestamp. Where a text has one of
/// these, it must agree on the points once they are written in another way.
pub(crate) fn assert_crate_agrees(text: &str, points: &[Point]) {
    let theirs = influxdb_line_protocol(text);
    if among(points, &theirs.points) {
        return;
    }
    assert!(
        has_bare_point(text) || has_trailing_space(text),
        "influxdb-line-protocol reads {text:?} differently\nours:   {points:?}\ntheirs: {theirs:?}"
    );
    let mut rewritten = String::new();
    for point in points {
        write(point, &mut rewritten).expect("what was read can be written");
    }
    let theirs = influxdb_line_protocol(&rewritten);
    assert!(same(points, &theirs.points), "differs: {text:?} as {rewritten:?}: {theirs:?}");
}

fn has_bare_point(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).any(|at| bytes[at] == b'.' && is_digit(at - 1) != is_digit(at + 1))
}

fn has_trailing_space(text: &str) -> bool {
    text.split('\n').any(|line| line.ends_with(' '))
}

fn point(line: &ParsedLine<'_>) -> Point {
    let tags = line.series.tag_set.iter().flatten();
    Point {
        measurement: line.series.measurement.as_str().into(),
        tags: tags.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        fields: line
            .field_set
            .iter()
            .map(|(key, theirs)| (key.as_str().into(), value(theirs)))
            .collect(),
        timestamp: line.timestamp,
    }
}

fn value(theirs: &Theirs<'_>) -> FieldValue {
    match theirs {
        Theirs::F64(value) => FieldValue::Float(*value),
        Theirs::I64(value) => FieldValue::Integer(*value),
        Theirs::U64(value) => FieldValue::Unsigned(*value),
        Theirs::Boolean(value) => FieldValue::Boolean(*value),
        Theirs::String(value) => FieldValue::String(value.to_string()),
    }
}
