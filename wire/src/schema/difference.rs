//! What differs between two versions of a schema, seen by whoever is measured.
//!
//! What is new or finer than before needs to be asked for again; what is gone or coarser doesn't. When
//! in doubt a change is finer.

use std::fmt::{self, Display};

use super::{Measurement, Schema};

/// One thing in which two schemas differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The measurement's name in the database; none where it concerns all of them.
    pub measurement: Option<String>,
    /// Whether more or less is told than before.
    pub direction: Direction,
    /// What was changed, in words; empty where the whole measurement is new or gone.
    pub what: String,
}

/// Whether a change tells more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// Something that wasn't told before.
    New,
    /// The same, told more finely, more often, or with more values.
    Finer,
    /// The same, told less finely, less often, or with fewer values.
    Coarser,
    /// The same, in other words for users.
    Reworded,
    /// Something that isn't told any more.
    Gone,
}

impl Schema {
    /// What was changed since `old`, in the order of names.
    pub fn changes_since(&self, old: &Self) -> Vec<Change> {
        let mut changes = self.changes_of_all(old);
        let names = |schema: &Self| schema.measurements.keys().cloned().collect::<Vec<_>>();
        let mut all = [names(old), names(self)].concat();
        all.sort_unstable();
        all.dedup();
        for name in all {
            let change =
                |direction, what| Change { measurement: Some(name.clone()), direction, what };
            match (old.measurement(&name), self.measurement(&name)) {
                (Some(_), None) => changes.push(change(Direction::Gone, String::new())),
                (None, Some(new)) => {
                    let what = if new.linkable { "linkable" } else { "" };
                    changes.push(change(Direction::New, what.to_owned()));
                }
                (Some(old), Some(new)) => {
                    changes.extend(
                        new.changes_since(old).into_iter().map(|(d, what)| change(d, what)),
                    );
                }
                (None, None) => {}
            }
        }
        changes
    }

    /// What of this schema `old` didn't allow: new or finer. Empty if whoever agreed to `old` has agreed to
    /// all of this.
    pub fn beyond(&self, old: &Self) -> Vec<Change> {
        let more = |change: &Change| matches!(change.direction, Direction::New | Direction::Finer);
        self.changes_since(old).into_iter().filter(more).collect()
    }

    fn changes_of_all(&self, old: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut add = |direction, what| changes.push(Change { measurement: None, direction, what });
        if self.namespace != old.namespace {
            let what = format!("namespace {}, was {}", self.namespace, old.namespace);
            add(Direction::Reworded, what);
        }
        if self.interval != old.interval {
            let direction =
                if self.interval < old.interval { Direction::Finer } else { Direction::Coarser };
            let (now, was) = (self.interval.as_secs(), old.interval.as_secs());
            add(direction, format!("every {now} s, was every {was} s"));
        }
        match (old.open, self.open) {
            (false, true) => add(Direction::New, "open: takes what nobody declared".to_owned()),
            (true, true) if self.namespace != old.namespace => {
                let what = format!("open: takes what nobody declared, as {}", self.namespace);
                add(Direction::New, what);
            }
            (true, false) => add(Direction::Gone, "open: took what nobody declared".to_owned()),
            _ => {}
        }
        changes
    }
}

impl Measurement {
    fn changes_since(&self, old: &Self) -> Vec<(Direction, String)> {
        use Direction::{Coarser, Finer, Reworded};
        let mut changes = Vec::new();
        let direction = |is_coarser: bool| if is_coarser { Coarser } else { Finer };
        if self.kind != old.kind {
            let is_coarser = self.kind == super::Kind::GaugeInteger;
            let what = format!("kind {}, was {}", self.kind.name(), old.kind.name());
            changes.push((direction(is_coarser), what));
        }
        for (key, values) in &self.tags {
            match old.tags.get(key) {
                None => changes.push((Finer, format!("tag {key} added"))),
                Some(before) => {
                    let added: Vec<&str> = without(values, before);
                    if !added.is_empty() {
                        changes
                            .push((Finer, format!("tag {key} may be {}, too", added.join(", "))));
                    }
                    let gone: Vec<&str> = without(before, values);
                    if !gone.is_empty() {
                        changes
                            .push((Coarser, format!("tag {key} is no more {}", gone.join(", "))));
                    }
                }
            }
        }
        for key in old.tags.keys().filter(|key| !self.tags.contains_key(*key)) {
            changes.push((Coarser, format!("tag {key} is gone")));
        }
        if self.buckets != old.buckets {
            let subset = self.buckets.iter().all(|bucket| old.buckets.contains(bucket));
            let is_coarser = !self.buckets.is_empty() && (old.buckets.is_empty() || subset);
            let what = format!("buckets {}, were {}", list(&self.buckets), list(&old.buckets));
            changes.push((direction(is_coarser), what));
        }
        if self.digits != old.digits {
            let what = format!("digits {}, were {}", words(self.digits), words(old.digits));
            changes.push((direction(self.digits < old.digits), what));
        }
        if self.range != old.range {
            let is_coarser = match (self.range, old.range) {
                (Some(_), None) => true,
                (Some([least, greatest]), Some([from, to])) => least >= from && greatest <= to,
                (None, _) => false,
            };
            let what = format!("range {}, was {}", interval(self.range), interval(old.range));
            changes.push((direction(is_coarser), what));
        }
        if self.max_per_second != old.max_per_second {
            let is_coarser = self.pace().per_second() <= old.pace().per_second();
            let most = |measurement: &Self| {
                measurement.max_per_second.map_or("the default".to_owned(), |most| most.to_string())
            };
            let what = format!("at most {} a second, was {}", most(self), most(old));
            changes.push((direction(is_coarser), what));
        }
        if self.linkable != old.linkable {
            let what = if self.linkable { "linkable" } else { "no more linkable" };
            changes.push((direction(!self.linkable), what.to_owned()));
        }
        if self.unit() != old.unit() {
            let unit = |measurement: &Self| measurement.unit().unwrap_or("none").to_owned();
            changes.push((Reworded, format!("unit {}, was {}", unit(self), unit(old))));
        }
        if self.description != old.description {
            changes.push((Reworded, format!("described as: {}", self.description)));
        }
        changes
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Finer => "finer",
            Self::Coarser => "coarser",
            Self::Reworded => "reworded",
            Self::Gone => "gone",
        })
    }
}

/// One line, without its end: `finer  app.open.gauge: buckets 0, 1, 5, were 0, 5`.
impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.measurement.as_deref().unwrap_or("schema");
        write!(f, "{:8} {name}", self.direction.to_string())?;
        if self.what.is_empty() { Ok(()) } else { write!(f, ": {}", self.what) }
    }
}

fn without<'a>(values: &'a [String], others: &[String]) -> Vec<&'a str> {
    values.iter().filter(|value| !others.contains(value)).map(String::as_str).collect()
}

fn list(numbers: &[f64]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

fn words(digits: super::Digits) -> String {
    match digits {
        super::Digits::Rounded(digits) => digits.to_string(),
        super::Digits::All => "all".to_owned(),
    }
}

fn interval(range: Option<[f64; 2]>) -> String {
    range.map_or("none".to_owned(), |[least, greatest]| format!("{least} to {greatest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaError;

    const OLD: &str = r#"
namespace = "app"

[[measurement]]
name = "hits"
kind = "counter"
description = "Hits."
tags = { outcome = ["ok", "failed"] }

[[measurement]]
name = "open"
kind = "gauge-integer"
description = "Files open."
buckets = [0, 1, 10]

[[measurement]]
name = "size"
kind = "histogram"
description = "Sizes."
range = [0, 1000]
"#;

    fn changed(from: &str, to: &str) -> Result<Schema, SchemaError> {
        assert!(OLD.contains(from), "{from}");
        Schema::from_toml(&OLD.replacen(from, to, 1))
    }

    #[test]
    fn what_is_new_or_finer_is_beyond_and_nothing_else() {
        let old = Schema::from_toml(OLD).unwrap();
        assert_eq!(old.changes_since(&old), []);
        for (from, to, direction) in [
            ("\"hits\"", "\"visits\"", Direction::New),
            ("\"app\"\n", "\"app\"\ninterval_seconds = 10\n", Direction::Finer),
            ("\"app\"\n", "\"app\"\ninterval_seconds = 100\n", Direction::Coarser),
            ("\"app\"\n", "\"app\"\nopen = true\n", Direction::New),
            ("\"failed\"]", "\"failed\", \"lost\"]", Direction::Finer),
            (", \"failed\"", "", Direction::Coarser),
            ("outcome", "result", Direction::Finer),
            ("[0, 1, 10]", "[0, 1, 5, 10]", Direction::Finer),
            ("[0, 1, 10]", "[0, 1, 11]", Direction::Finer),
            ("[0, 1, 10]", "[0, 10]", Direction::Coarser),
            ("gauge-integer", "gauge-float", Direction::Finer),
            ("[0, 1000]", "[0, 2000]", Direction::Finer),
            ("[0, 1000]", "[0, 100]", Direction::Coarser),
            ("range = [0, 1000]\n", "", Direction::Finer),
            ("range", "digits = 3\nlinkable = true\nrange", Direction::Finer),
            ("range", "digits = 1\nrange", Direction::Coarser),
            ("range", "unit = \"bytes\"\nrange", Direction::Reworded),
            ("range", "max_per_second = 9\nrange", Direction::Coarser),
            ("Sizes.", "Sizes of files.", Direction::Reworded),
        ] {
            let new = changed(from, to).unwrap();
            let changes = new.changes_since(&old);
            assert!(
                changes.iter().any(|change| change.direction == direction),
                "{to}: {changes:?}"
            );
            let more = matches!(direction, Direction::New | Direction::Finer);
            assert_eq!(!new.beyond(&old).is_empty(), more, "{to}");
            assert_ne!(new.version(), old.version(), "{to}");
        }
    }

    #[test]
    fn a_version_is_of_what_is_said_and_not_of_how_it_is_written() {
        let old = Schema::from_toml(OLD).unwrap();
        let same = changed("\"ok\", \"failed\"", "\"failed\", \"ok\"").unwrap();
        assert_eq!(same.version(), old.version());
        assert_eq!(Schema::from_toml(&old.to_toml()).unwrap().version(), old.version());
        // Whoever has stored a version compares it with that of a later release.
        assert_eq!(old.version(), "42a136bc2da036ca");
    }

    #[test]
    fn a_change_is_a_line() {
        let old = Schema::from_toml(OLD).unwrap();
        let new = changed("[0, 1, 10]", "[0, 10]").unwrap();
        let lines: Vec<String> = new.changes_since(&old).iter().map(Change::to_string).collect();
        assert_eq!(lines, ["coarser  app.open.gauge: buckets 0, 10, were 0, 1, 10"]);
    }
}
