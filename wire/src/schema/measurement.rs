//! One measurement of a schema: what it is, and how fine it may be.

use std::collections::BTreeMap;

use super::{Digits, FASTEST, Kind, Pace, Refusal, SESSION_TAG, SchemaError, names};
use crate::{Tags, reading::Reading};

/// A gauge with more buckets than this must be declared linkable.
pub const COARSE_BUCKETS: usize = 8;

/// Below this, floating-point numbers hold every whole number exactly.
const WHOLE_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The longest unit, in characters.
const UNIT_LIMIT: usize = 16;

/// One measurement: a kind of instrument with a name and the tags it may carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The name inside the namespace.
    pub name: String,
    /// Which instrument it comes from, hence its fields.
    pub kind: Kind,
    /// What a user is told that it is.
    pub description: String,
    /// The unit of its values, for users to read; none for a timer, whose values are nanoseconds.
    pub unit: Option<String>,
    /// Each tag with the values it may have. A point carries all of them.
    pub tags: BTreeMap<String, Vec<String>>,
    /// For a gauge: only these values leave, ascending; empty: every value does.
    pub buckets: Vec<f64>,
    /// How many significant digits of its numbers leave. Buckets leave as they are.
    pub digits: Digits,
    /// For what has single values (gauges without buckets, histograms, timers): values below the first
    /// leave as the first, values above the second as the second.
    pub range: Option<[f64; 2]>,
    /// For what counts events (all but gauges): the most that can happen in a second, in each of its
    /// series. An agent cuts off what is more; a proxy takes more for false.
    pub max_per_second: Option<u64>,
    /// Whether it is finer than 2 digits, or 8 buckets of a gauge: so fine that a machine might be
    /// recognized by it. Whoever is asked for consent sees this word.
    pub linkable: bool,
}

/// How exactly the numbers of one measurement leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    digits: Digits,
    range: Option<[f64; 2]>,
}

impl Precision {
    /// The reading that leaves instead of one that was [coarsened](Measurement::coarsen). Where intervals
    /// are merged, it is rounded after that.
    #[must_use]
    pub fn round(&self, reading: &Reading) -> Reading {
        reading.rounded(self.digits, self.range)
    }
}

impl Measurement {
    /// A measurement without tags, as coarse as they are by default: 2 digits. A gauge of it needs
    /// buckets, or to be linkable.
    pub fn new(name: &str, kind: Kind, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            description: description.to_owned(),
            unit: None,
            tags: BTreeMap::new(),
            buckets: Vec::new(),
            digits: Digits::default(),
            range: None,
            max_per_second: None,
            linkable: false,
        }
    }

    /// How much of it can happen.
    pub fn pace(&self) -> Pace {
        Pace::new(self.max_per_second)
    }

    /// The unit of its values, if it has one.
    pub fn unit(&self) -> Option<&str> {
        if self.kind == Kind::Timer { Some("ns") } else { self.unit.as_deref() }
    }

    /// Whether it is so fine that it must be declared linkable.
    pub fn is_fine(&self) -> bool {
        if self.kind.is_gauge() {
            self.buckets.is_empty() || self.buckets.len() > COARSE_BUCKETS
        } else {
            self.digits > Digits::default()
        }
    }

    /// The reading that leaves instead of `reading`, but for its digits: a gauge becomes the highest
    /// bucket that isn't above it, or the lowest of all; values outside of the range become its ends.
    #[must_use]
    pub fn coarsen(&self, reading: &Reading) -> Reading {
        match reading {
            // Buckets of a gauge of integers are whole numbers that a float holds exactly.
            Reading::GaugeInteger(value) if !self.buckets.is_empty() => {
                Reading::GaugeInteger(self.bucket(*value as f64).map_or(*value, |b| b as i64))
            }
            Reading::GaugeFloat(value) if !self.buckets.is_empty() => {
                Reading::GaugeFloat(self.bucket(*value).unwrap_or(*value))
            }
            other => self.range.map_or_else(|| other.clone(), |range| other.within(range)),
        }
    }

    /// How exactly its numbers leave.
    pub fn precision(&self) -> Precision {
        let digits = if self.buckets.is_empty() { self.digits } else { Digits::All };
        Precision { digits, range: self.range }
    }

    /// Whether a reading is as coarse as it must be.
    ///
    /// # Errors
    /// [`Refusal::Bucket`], [`Refusal::Range`] or [`Refusal::Digits`] if not.
    pub fn check_coarseness(&self, reading: &Reading) -> Result<(), Refusal> {
        if self.coarsen(reading) != *reading {
            return Err(if self.buckets.is_empty() { Refusal::Range } else { Refusal::Bucket });
        }
        if self.precision().round(reading) != *reading {
            return Err(Refusal::Digits);
        }
        Ok(())
    }

    /// Whether `tags` are exactly the declared ones, each with an allowed value.
    pub(super) fn check_tags(&self, tags: &Tags) -> Result<(), Refusal> {
        if tags.len() != self.tags.len() {
            return Err(Refusal::Tag);
        }
        for (key, value) in tags {
            let allowed = self.tags.get(key.as_str()).ok_or(Refusal::Tag)?;
            if !allowed.iter().any(|allowed| allowed == value) {
                return Err(Refusal::TagValue);
            }
        }
        Ok(())
    }

    /// Whether all that it says can be meant.
    pub(super) fn check(&self) -> Result<(), SchemaError> {
        names::check_telling_name("name", &self.name)?;
        if self.description.trim().is_empty() {
            let reason = "say what users should be told that this is";
            return Err(SchemaError::new("description", reason));
        }
        if self.description.chars().any(|c| c.is_control() || changes_direction(c)) {
            let reason = "must be one line, without characters that are not seen";
            return Err(SchemaError::new("description", reason));
        }
        self.check_unit()?;
        self.check_buckets()?;
        self.check_range()?;
        self.check_max_per_second()?;
        if !matches!(self.digits, Digits::All | Digits::Rounded(1..=Digits::LIMIT)) {
            let reason = format!("must be from 1 to {}, or \"all\"", Digits::LIMIT);
            return Err(SchemaError::new("digits", reason));
        }
        self.check_linkable()?;
        self.tags.iter().try_for_each(|(key, values)| check_tag(key, values))
    }

    fn check_unit(&self) -> Result<(), SchemaError> {
        let Some(unit) = &self.unit else { return Ok(()) };
        if self.kind == Kind::Timer {
            return Err(SchemaError::new("unit", "a timer's is nanoseconds: leave it out"));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"%/_-.".contains(&b);
        if unit.is_empty() || unit.len() > UNIT_LIMIT || !unit.bytes().all(allowed) {
            let reason =
                format!("must be at most {UNIT_LIMIT} letters, digits and %/_-. such as \"bytes\"");
            return Err(SchemaError::new("unit", reason));
        }
        Ok(())
    }

    fn check_buckets(&self) -> Result<(), SchemaError> {
        let wrong = |reason: &str| Err(SchemaError::new("buckets", reason));
        if self.buckets.is_empty() {
            return Ok(());
        }
        if !self.kind.is_gauge() || !self.buckets.iter().all(|bucket| bucket.is_finite()) {
            return wrong("only a gauge has buckets, of finite numbers");
        }
        if !self.buckets.is_sorted_by(|a, b| a < b) {
            return wrong("must ascend");
        }
        if self.kind == Kind::GaugeInteger && !self.buckets.iter().all(is_whole) {
            return wrong("must be whole, as the gauge's values are");
        }
        Ok(())
    }

    fn check_range(&self) -> Result<(), SchemaError> {
        let wrong = |reason: &str| Err(SchemaError::new("range", reason));
        let Some([least, greatest]) = self.range else { return Ok(()) };
        if matches!(self.kind, Kind::Counter | Kind::Meter) {
            return wrong(
                "a counter and a meter count, and have no single values that it could hold for",
            );
        }
        if !self.buckets.is_empty() {
            return wrong("buckets say already which values leave: leave it out");
        }
        if !(least < greatest && least.is_finite() && greatest.is_finite()) {
            return wrong("must be the least and the greatest value");
        }
        if self.kind != Kind::GaugeFloat && !(is_whole(&least) && is_whole(&greatest)) {
            return wrong("must be whole, as the values are");
        }
        Ok(())
    }

    fn check_max_per_second(&self) -> Result<(), SchemaError> {
        let wrong = |reason: String| Err(SchemaError::new("max_per_second", reason));
        match self.max_per_second {
            Some(_) if self.kind.is_gauge() => {
                wrong("a gauge counts nothing that it could hold for: use `range`".to_owned())
            }
            Some(1..=FASTEST) | None => Ok(()),
            Some(_) => wrong(format!("must be from 1 to {FASTEST}")),
        }
    }

    fn check_linkable(&self) -> Result<(), SchemaError> {
        if self.linkable == self.is_fine() {
            return Ok(());
        }
        if self.linkable {
            let reason = "nothing here is finer than 2 digits, or than 8 buckets of a gauge: leave it \
                          out, for it warns users";
            return Err(SchemaError::new("linkable", reason));
        }
        let (key, what) = if self.kind.is_gauge() {
            ("buckets", "more than 8 buckets, or none,")
        } else {
            ("digits", "more than 2 digits")
        };
        let reason = format!(
            "with {what} a machine might be recognized by this number; declare fewer, or say \
             `linkable = true`, which users are shown"
        );
        Err(SchemaError::new(key, reason))
    }

    fn bucket(&self, value: f64) -> Option<f64> {
        let not_above = self.buckets.partition_point(|bucket| *bucket <= value);
        self.buckets.get(not_above.saturating_sub(1)).copied()
    }
}

fn check_tag(key: &str, values: &[String]) -> Result<(), SchemaError> {
    let wrong = |reason: String| Err(SchemaError::new("tags", reason));
    if key == SESSION_TAG {
        return wrong("`session` is the tag that the ingest proxy writes".to_owned());
    }
    if names::is_reserved(key) {
        return wrong(format!("InfluxDB refuses `{key}` as a tag"));
    }
    names::check_telling_name("tags", key)?;
    if values.is_empty() {
        return wrong(format!(
            "`{key}` needs at least one value; any text at all can't be allowed, since nobody knows what \
             would be in it"
        ));
    }
    values.iter().try_for_each(|value| names::check_name("tags", value))
}

/// Unicode's marks that show text in another order than it has.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_whole(number: &f64) -> bool {
    number.fract() == 0.0 && number.abs() < WHOLE_LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_what_is_fine_must_say_that_it_is_linkable() {
        let of = |kind, buckets: usize, digits| Measurement {
            buckets: (0..buckets).map(|bucket| bucket as f64).collect(),
            digits,
            ..Measurement::new("some", kind, "Some.")
        };
        let [two, three] = [2, 3].map(Digits::Rounded);
        for (measurement, is_fine, key) in [
            (of(Kind::Counter, 0, two), false, "linkable"),
            (of(Kind::Counter, 0, three), true, "digits"),
            (of(Kind::Histogram, 0, Digits::All), true, "digits"),
            (of(Kind::GaugeInteger, 8, two), false, "linkable"),
            (of(Kind::GaugeInteger, 9, two), true, "buckets"),
            (of(Kind::GaugeFloat, 0, Digits::Rounded(1)), true, "buckets"),
        ] {
            let linkable = Measurement { linkable: true, ..measurement.clone() };
            let (right, wrong) =
                if is_fine { (linkable, measurement) } else { (measurement, linkable) };
            assert_eq!(right.check(), Ok(()), "{right:?}");
            let error = wrong.check().map_err(|error| error.key);
            assert_eq!(error, Err(key.to_owned()), "not linkable, or without need: {wrong:?}");
        }
    }
}
