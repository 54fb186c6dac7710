//! What came of the controls, and the table of it.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::patch::Control;

/// What came of one control.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The test failed by the named assertion.
    Caught,
    /// The patch breaks a rule.
    Refused(String),
    /// The named test doesn't run, or fails without the patch.
    NoTest(String),
    /// The patched code isn't Rust.
    NotCompiled(String),
    /// The test passes all the same.
    Uncaught,
    /// The test fails by something else.
    Otherwise(String),
}

/// A control, what came of it, and how long that took.
#[derive(Debug)]
pub struct Row {
    /// The control's name.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// With building.
    pub took: Duration,
}

impl Row {
    /// What came of a control.
    pub fn new(control: &Control, outcome: Outcome, took: Duration) -> Self {
        Self { name: control.name.clone(), outcome, took }
    }
}

/// The table: one line a control, those that failed last.
pub fn table(rows: &[Row]) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.outcome != Outcome::Caught, &row.name));
    sorted.iter().map(|row| format!("{row}\n")).collect()
}

impl Display for Row {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:>5} s  {}: {}", self.took.as_secs(), self.name, self.outcome)
    }
}

impl Display for Outcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught => formatter.write_str("caught"),
            Self::Refused(why) => write!(formatter, "REFUSED: {why}"),
            Self::NoTest(why) => write!(formatter, "NO TEST: {why}"),
            Self::NotCompiled(why) => write!(formatter, "DOESN'T COMPILE: {why}"),
            Self::Uncaught => formatter.write_str("NOT CAUGHT: the test passes with the patch"),
            Self::Otherwise(why) => {
                write!(formatter, "NOT CAUGHT by the named assertion, but: {why}")
            }
        }
    }
}
