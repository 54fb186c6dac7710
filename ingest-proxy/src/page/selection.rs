//! What the operator chose to see: a range of time, and fields of measurements. It stands in the URL,
//! so that it can be kept, and anything in it that makes no sense is passed over.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

/// Choices that are remembered in a URL.
const CHOICES_LIMIT: usize = 64;
/// Longer names than a schema allows, with the kind at the end.
const NAME_LIMIT: usize = 160;

/// Another key of the URL; a measurement of this name has its default field alone.
const TOKEN: &str = "token";

/// How far back charts reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// In the URL.
    pub(super) key: &'static str,
    /// For the operator.
    pub(super) label: &'static str,
    pub(super) length: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All there are; the first is the default.
pub(super) const RANGES: [Range; 5] = [
    range("15m", "15 min", 15 * MINUTE),
    range("1h", "1 h", HOUR),
    range("6h", "6 h", 6 * HOUR),
    range("24h", "24 h", DAY),
    range("7d", "7 d", 7 * DAY),
];

const fn range(key: &'static str, label: &'static str, length_seconds: u64) -> Range {
    Range { key, label, length: Duration::from_secs(length_seconds) }
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) range: Range,
    /// Fields by measurement, where they aren't the default ones. Names may be of nothing at all.
    fields: BTreeMap<String, String>,
}

impl Selection {
    /// Reads `range=1h&MEASUREMENT=FIELD&…`.
    pub(super) fn parse(query: &str) -> Self {
        let mut selection = Self { range: RANGES[0], fields: BTreeMap::new() };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if key == "range" {
                let known = RANGES.into_iter().find(|range| range.key == value);
                selection.range = known.unwrap_or(selection.range);
            } else if key != TOKEN
                && is_name(key)
                && is_name(value)
                && selection.fields.len() < CHOICES_LIMIT
            {
                selection.fields.insert(key.to_owned(), value.to_owned());
            }
        }
        selection
    }

    /// The field that was chosen for a measurement.
    pub(super) fn field(&self, measurement: &str) -> Option<&str> {
        self.fields.get(measurement).map(String::as_str)
    }

    /// The link to the same with another range.
    pub(super) fn with_range(&self, range: Range) -> String {
        Self { range, ..self.clone() }.link()
    }

    /// The link to the same with another field of a measurement; none: its default ones.
    pub(super) fn with_field(&self, measurement: &str, field: Option<&str>) -> String {
        let mut other = self.clone();
        match field {
            Some(field) => other.fields.insert(measurement.to_owned(), field.to_owned()),
            None => other.fields.remove(measurement),
        };
        other.link()
    }

    fn link(&self) -> String {
        let mut link = format!("/?range={}", self.range.key);
        // A name that would need encoding keeps its default.
        let plain = |(name, field): &(&String, &String)| is_name(name) && is_name(field);
        for (measurement, field) in self.fields.iter().filter(plain) {
            let _ = write!(link, "&{measurement}={field}");
        }
        link
    }
}

/// Whether it needs no encoding in a URL.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=NAME_LIMIT).contains(&text.len()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_is_written() {
        let selection = Selection::parse("range=6h&app.size.histogram=p99");
        assert_eq!(selection.range.key, "6h");
        assert_eq!(selection.field("app.size.histogram"), Some("p99"));
        assert_eq!(selection.with_range(RANGES[1]), "/?range=1h&app.size.histogram=p99");
        let link = selection.with_field("app.open.gauge", Some("value"));
        assert_eq!(link, "/?range=6h&app.open.gauge=value&app.size.histogram=p99");
        assert_eq!(Selection::parse(&link[2..]).link(), link);
        assert_eq!(selection.with_field("app.size.histogram", None), "/?range=6h");
        let of_host = Selection::parse("cpu=usage_idle");
        assert_eq!(of_host.field("cpu"), Some("usage_idle"));
        assert_eq!(of_host.with_field("a&b", Some("x")), of_host.link(), "no broken links");
    }

    #[test]
    fn nonsense_is_passed_over_and_bounded() {
        for query in ["", "range=1y", "token=abc", "a.b=<script>", "a.b=", "a.b", "&&=&"] {
            assert_eq!(Selection::parse(query).link(), "/?range=15m", "{query}");
        }
        let many: Vec<String> = (0..1_000).map(|i| format!("a.b{i}=c")).collect();
        assert_eq!(Selection::parse(&many.join("&")).fields.len(), CHOICES_LIMIT);
    }
}
