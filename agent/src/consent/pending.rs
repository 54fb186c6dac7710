//! What a user is yet to be asked about, in words of the schema.

use std::fmt;

use undertone_wire::schema::{Change, Schema};

use super::Answer;

/// One thing that a schema says and an answer doesn't cover.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// What is new, or finer than what was agreed to.
    pub change: Change,
    /// What the schema says that it is; none where it concerns all measurements.
    pub description: Option<String>,
    /// Whether it is so fine that a machine might be recognized by it: the word to show beside it.
    pub linkable: bool,
}

impl Pending {
    /// All that `declared` says beyond what was agreed to, in the order of names.
    pub fn of(declared: &Schema, answer: &Answer) -> Vec<Self> {
        let changes = match answer {
            Answer::Granted(None) => return Vec::new(),
            Answer::Granted(Some(agreed)) => declared.beyond(agreed),
            Answer::Unasked | Answer::Denied => declared.beyond(&declared.nothing()),
        };
        let with_words = |change: Change| {
            let measurement =
                change.measurement.as_ref().and_then(|name| declared.measurement(name));
            Self {
                description: measurement.map(|measurement| measurement.description.clone()),
                linkable: measurement.is_some_and(|measurement| measurement.linkable),
                change,
            }
        };
        changes.into_iter().map(with_words).collect()
    }
}

/// One line, without its end.
impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.change.fmt(f)?;
        self.description.iter().try_for_each(|description| write!(f, ". {description}"))
    }
}
