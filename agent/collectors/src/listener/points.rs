//! A body's lines as points with times in nanoseconds. A bad line costs only itself.

use undertone_wire::{Point, line_protocol};

use super::route::Precision;

/// So many bad lines are told of; a client that sends more has one fault, not many.
const ERRORS_LIMIT: usize = 5;
/// After so many lines, other tasks of the runtime have their turn.
const LINES_A_TURN: usize = 500;

/// What lines said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) points: Vec<Point>,
    /// Lines that were refused.
    pub(super) refused: usize,
    /// What is wrong with the first of them.
    pub(super) errors: Vec<String>,
}

/// There are more lines than the limit.
#[derive(Debug, PartialEq)]
pub(super) struct TooManyLines;

/// Reads lines whose times are in `precision`; those without one are of `now`.
pub(super) async fn parse(
    body: &[u8],
    precision: Precision,
    now_nanoseconds: i64,
    lines_limit: usize,
) -> Result<Parsed, TooManyLines> {
    let text = match str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            // Where such bytes begin and end a line is anybody's guess.
            let at = error.valid_up_to();
            let error = format!("{}: this is no UTF-8", place(&body[..at]));
            return Ok(Parsed { refused: 1, errors: vec![error], ..Parsed::default() });
        }
    };
    let now = precision.truncate(now_nanoseconds);
    let mut parsed = Parsed::default();
    let mut lines = line_protocol::parse(text);
    let mut count = 0;
    while let Some(line) = lines.next() {
        count += 1;
        if count > lines_limit {
            return Err(TooManyLines);
        }
        match line {
            Ok(line) => match line.timestamp.map(|time| precision.in_nanoseconds(time)) {
                Some(None) => {
                    parsed.refuse(|| {
                        format!("{}: time outside range", time_place(text, lines.offset()))
                    });
                }
                time => parsed.points.push(Point::from(line).at(time.flatten().unwrap_or(now))),
            },
            Err(error) => parsed.refuse(|| error.to_string()),
        }
        if count % LINES_A_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.refused += 1;
        if self.errors.len() < ERRORS_LIMIT {
            self.errors.push(why());
        }
    }
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
