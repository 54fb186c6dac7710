//! A body's lines, handed over as points with times in nanoseconds. A bad line costs only itself.

use std::borrow::Cow;

use undertone_wire::{Point, line_protocol};

use super::{Accept, Full, route::Precision};

/// Points that are handed over together, at most. So few stay in the processor's cache, and take no
/// more memory for a large body than for a small one: that makes it three times as fast.
const POINTS_A_CALL: usize = 256;
/// So many bad lines are told of; a client that sends more has one fault, not many.
const ERRORS_LIMIT: usize = 5;

/// What became of lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) taken: usize,
    pub(super) refused: usize,
    /// What is wrong with the first of those that were refused.
    pub(super) errors: Vec<String>,
}

/// Hands over lines whose times are in `precision`; those without one are of `now`.
pub(super) async fn hand_over(
    body: &[u8],
    precision: Precision,
    now_nanoseconds: i64,
    accept: &impl Accept,
) -> Result<Outcome, Full> {
    let mut outcome = Outcome::default();
    let hand = |points: Vec<Point>, taken: usize| match taken {
        0 => accept.accept(points),
        _ => accept.accept_further(points),
    };
    let text = readable(body);
    let is_damaged = matches!(text, Cow::Owned(_));
    let text = text.as_ref();
    let now = precision.truncate(now_nanoseconds);
    let mut lines = line_protocol::parse(text);
    let mut points = Vec::with_capacity(POINTS_A_CALL);
    let mut end = 0;
    while let Some(line) = lines.next() {
        let start = std::mem::replace(&mut end, lines.offset());
        let damage = if is_damaged { damage(body, start, end) } else { None };
        match (line, damage) {
            (_, Some(at)) => {
                outcome.refuse(|| format!("{}: this is no UTF-8", place(&body[..at])));
            }
            (Ok(line), None) => match line.timestamp.map(|time| precision.in_nanoseconds(time)) {
                Some(None) => {
                    let at = time_place(text, lines.offset());
                    outcome.refuse(|| format!("{at}: time outside range"));
                }
                time => points.push(Point::from(line).at(time.flatten().unwrap_or(now))),
            },
            (Err(error), None) => outcome.refuse(|| error.to_string()),
        }
        if points.len() == POINTS_A_CALL {
            let full = std::mem::replace(&mut points, Vec::with_capacity(POINTS_A_CALL));
            hand(full, outcome.taken)?;
            outcome.taken += POINTS_A_CALL;
            // The runtime has more to do than this body.
            tokio::task::yield_now().await;
        }
    }
    if !points.is_empty() {
        let rest = points.len();
        hand(points, outcome.taken)?;
        outcome.taken += rest;
    }
    Ok(outcome)
}

impl Outcome {
    fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.refused += 1;
        if self.errors.len() < ERRORS_LIMIT {
            self.errors.push(why());
        }
    }
}

/// A body as text of the same length, in which bytes that are no UTF-8 stand as question marks: they are
/// part of the word that they are in, and end no line.
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
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;

    /// Full after the first points, but for the rest of a request.
    #[derive(Clone, Default)]
    struct Narrow(Arc<Mutex<usize>>);

    impl Accept for Narrow {
        fn accept(&self, points: Vec<Point>) -> Result<(), Full> {
            let mut taken = self.0.lock().unwrap();
            if *taken > 0 {
                return Err(Full { retry_after: Duration::from_secs(1) });
            }
            *taken += points.len();
            Ok(())
        }

        fn accept_further(&self, points: Vec<Point>) -> Result<(), Full> {
            *self.0.lock().unwrap() += points.len();
            Ok(())
        }
    }

    #[test]
    fn a_request_is_taken_whole_or_not_at_all() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (body, accept) = ("hits value=1\n".repeat(1_000), Narrow::default());
        let taken = |accept: &Narrow| *accept.0.lock().unwrap();
        let hand = || hand_over(body.as_bytes(), Precision { nanoseconds: 1 }, 1, &accept);
        assert_eq!(runtime.block_on(hand()).unwrap().taken, 1_000);
        assert!(runtime.block_on(hand()).is_err());
        assert_eq!(taken(&accept), 1_000, "nothing of the second");
    }
}
