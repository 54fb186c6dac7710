//! Text into lines: blank lines, comments, and where to go on after an error.
//!
//! A line ends where InfluxDB's parser sees its end, also when the line is refused. Going on at the
//! next `\n` instead would make points out of what is written inside the strings of a bad line.

use std::iter::FusedIterator;

use super::Line;
use super::error::{LineError, LineErrorKind};
use super::names::Fault;
use super::parser::{Sizes, read_line};

/// Reads `text` line by line: one item for each line that is neither blank nor a comment.
///
/// A line that is refused is one `Err`, and the line after it is read as if nothing had been. A
/// string that is never closed has no line after it, since strings may contain line breaks.
///
/// ```
/// use undertone_wire::{Point, line_protocol::parse};
///
/// let mut lines = parse("disk,path=/ free=12.5,total=40i 1700000000\ndisk free=\n");
/// let point = Point::from(lines.next().unwrap()?);
/// let expected = Point::new("disk").tag("path", "/").field("free", 12.5).field("total", 40i64);
/// assert_eq!(point, expected.at(1_700_000_000));
/// let error = lines.next().unwrap().unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 11: a field has no value");
/// # Ok::<(), undertone_wire::line_protocol::LineError>(())
/// ```
pub fn parse(text: &str) -> Lines<'_> {
    Lines { text, at: 0, counted_to: 0, line: 1, sizes: Sizes::default() }
}

/// The lines of a text, from [`parse`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    text: &'a str,
    /// Where the next line begins.
    at: usize,
    /// Up to where line breaks have been counted; they are, only when an error needs it.
    counted_to: usize,
    /// The number of the line that `counted_to` is in.
    line: usize,
    sizes: Sizes,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        loop {
            let start = self.at;
            let mut begin = start;
            while let Some(b' ' | b'\t') = bytes.get(begin) {
                begin += 1;
            }
            match bytes.get(begin) {
                None => {
                    self.at = begin;
                    return None;
                }
                Some(b'\n') => self.at = begin + 1,
                Some(b'#') => {
                    let comment = &bytes[begin..];
                    let end =
                        begin + comment.iter().position(|b| *b == b'\n').unwrap_or(comment.len());
                    if let Err(fault) = self.end_line(start, end) {
                        return Some(Err(self.error(fault)));
                    }
                }
                Some(_) => return Some(self.line(start, begin)),
            }
        }
    }
}

impl FusedIterator for Lines<'_> {}

impl<'a> Lines<'a> {
    /// How many bytes of the text have been read: where the next line begins, or the text's end.
    pub fn offset(&self) -> usize {
        self.at.min(self.text.len())
    }

    /// Reads the line at `start`, which begins after its indentation at `begin`, and moves on.
    fn line(&mut self, start: usize, begin: usize) -> Result<Line<'a>, LineError> {
        match read_line(self.text, begin, &mut self.sizes) {
            Ok((line, end)) if begin == start => {
                self.at = end + 1;
                Ok(line)
            }
            // InfluxDB takes a line's first space for the one before the fields, so that it may see
            // quotes in an indented line where there are none.
            Ok((line, end)) => match self.end_line(start, end) {
                Ok(()) => Ok(line),
                Err(fault) => Err(self.error(fault)),
            },
            Err(fault) => {
                self.at = end_of_line(self.text.as_bytes(), start) + 1;
                Err(self.error(fault))
            }
        }
    }

    /// Moves on behind the line at `start`; a fault if InfluxDB doesn't see its end at `end`.
    fn end_line(&mut self, start: usize, end: usize) -> Result<(), Fault> {
        let seen = end_of_line(self.text.as_bytes(), start);
        self.at = seen + 1;
        if seen == end {
            return Ok(());
        }
        Err(Fault { kind: LineErrorKind::AmbiguousLineEnd, at: seen.min(end) })
    }

    /// The error for a fault, with its place as an editor counts.
    fn error(&mut self, Fault { kind, at }: Fault) -> LineError {
        let before = &self.text.as_bytes()[..at];
        self.line += before[self.counted_to..].iter().filter(|b| **b == b'\n').count();
        self.counted_to = at;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        LineError::new(kind, self.text, at, self.line, column)
    }
}

/// Where InfluxDB's `scanLine` sees the end of the line at `start`, whatever the line is: a quote
/// counts behind the first space, where more `=` than commas have been; a backslash hides the byte
/// after it.
fn end_of_line(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut quoted = false;
    let mut in_fields = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' if !quoted => return at,
            b'\\' => at += 1,
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
