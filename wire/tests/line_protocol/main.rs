//! The line protocol against a table of examples, against itself, and against two other parsers.
//!
//! A failure is: a panic; a line that is accepted here and that a peer reads differently; a point
//! that isn't read back as it was written; a refusal that the documents don't name. Not a failure:
//! that a peer accepts more.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

#[path = "../support/go_program.rs"]
mod go_program;
mod influxdb2;
mod peers;
mod properties;
mod texts;
mod vectors;
mod writing;

use undertone_wire::Point;
use undertone_wire::line_protocol::parse;

/// The points of the lines that are accepted.
fn accepted(text: &str) -> Vec<Point> {
    parse(text).filter_map(Result::ok).map(Point::from).collect()
}

/// Whether both are the same points, down to the sign of zero.
fn same(left: &[Point], right: &[Point]) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

/// Whether all of `some` are among `all`, in their order.
fn among(some: &[Point], all: &[Point]) -> bool {
    let mut all = all.iter();
    some.iter().all(|point| all.any(|other| format!("{other:?}") == format!("{point:?}")))
}
