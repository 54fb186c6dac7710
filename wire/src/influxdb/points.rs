//! A body's lines as points with times in nanoseconds. A bad line costs only itself.

use std::borrow::Cow;

use super::Precision;
use crate::{
    Point,
    line_protocol::{LineError, Lines, parse},
};

/// A body as text of the same length, in which bytes that are no UTF-8 stand as question marks: they are
/// part of the word that they are in, and end no line.
pub struct Text<'a> {
    body: &'a [u8],
    text: Cow<'a, str>,
}

/// The points of a [`Text`], one item for each line that is neither blank nor a comment.
pub struct Points<'t> {
    text: &'t Text<'t>,
    lines: Lines<'t>,
    precision: Precision,
    now: i64,
    end: usize,
}

/// Why a line is no point. [`Text::explain`] tells it with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointError {
    /// It is no line protocol.
    Line(LineError),
    /// It isn't UTF-8 from this byte of the body on.
    NotUtf8(usize),
    /// Its time is beyond what InfluxDB takes; the next line begins at this byte.
    Time(usize),
}

impl<'a> Text<'a> {
    /// That of a body.
    pub fn of(body: &'a [u8]) -> Self {
        Self { body, text: readable(body) }
    }

    /// Its points, whose times are in `precision`; those without one are of `now`.
    pub fn points(&'a self, precision: Precision, now_nanoseconds: i64) -> Points<'a> {
        let now = precision.truncate(now_nanoseconds);
        Points { text: self, lines: parse(&self.text), precision, now, end: 0 }
    }

    /// What is wrong with a line, and where.
    pub fn explain(&self, error: &PointError) -> String {
        match error {
            PointError::Line(error) => error.to_string(),
            PointError::NotUtf8(at) => format!("{}: this is no UTF-8", place(&self.body[..*at])),
            PointError::Time(end) => {
                format!("{}: time outside range", time_place(&self.text, *end))
            }
        }
    }

    fn is_damaged(&self) -> bool {
        matches!(self.text, Cow::Owned(_))
    }
}

impl Iterator for Points<'_> {
    type Item = Result<Point, PointError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let start = std::mem::replace(&mut self.end, self.lines.offset());
        if self.text.is_damaged()
            && let Some(at) = damage(self.text.body, start, self.end)
        {
            return Some(Err(PointError::NotUtf8(at)));
        }
        Some(line.map_err(PointError::Line).and_then(|line| {
            let time = match line.timestamp {
                None => self.now,
                Some(time) => {
                    self.precision.in_nanoseconds(time).ok_or(PointError::Time(self.end))?
                }
            };
            Ok(Point::from(line).at(time))
        }))
    }
}

fn readable(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

/// Where a line is no UTF-8. It lies between `start` and `end`, behind blank lines and comments, which may
/// be anything.
fn damage(body: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut line = &body[start..end];
    loop {
        match line {
            [b' ' | b'\t' | b'\n', rest @ ..] => line = rest,
            [b'#', ..] => {
                let length = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
                line = &line[length..];
            }
            _ => break,
        }
    }
    let error = str::from_utf8(line).err()?;
    Some(end - line.len() + error.valid_up_to())
}

/// The place of the last word before `end`, which is where the next line begins.
fn time_place(text: &str, end: usize) -> String {
    let before = text.as_bytes().get(..end).unwrap_or(text.as_bytes()).trim_ascii_end();
    let start = before.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    place(&before[..start])
}

/// The place behind some bytes of a text, as line errors tell theirs.
fn place(before: &[u8]) -> String {
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_costs_only_itself() {
        let body =
            b"a f=1 5\nb f= 5\n\xff f=1 5\nc f=1\nd f=1 9223372036854775807\n# \xff\ne f=1 6\n";
        let text = Text::of(body);
        let told: Vec<Result<(String, Option<i64>), String>> = text
            .points(Precision::NANOSECONDS, 7)
            .map(|point| {
                point
                    .map(|point| (point.measurement.to_string(), point.timestamp))
                    .map_err(|error| text.explain(&error))
            })
            .collect();
        let point = |name: &str, time| Ok((name.to_owned(), Some(time)));
        let line_5 = told[4].clone().unwrap_err();
        assert!(line_5.starts_with("line 5, "), "{line_5}");
        assert_eq!(
            told,
            [
                point("a", 5),
                Err("line 2, column 5: a field has no value, at \" 5\"".to_owned()),
                Err("line 3, column 1: this is no UTF-8".to_owned()),
                point("c", 7),
                Err(line_5),
                point("e", 6),
            ]
        );
    }
}
