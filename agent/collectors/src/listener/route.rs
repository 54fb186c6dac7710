//! What is asked, and in the words of which version of InfluxDB.

use std::borrow::Cow;

use hyper::{Method, Uri};

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V1,
    V2,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// To take lines.
    Write(Precision),
    /// Whether anybody is here.
    Ping,
    /// How it is going.
    Health,
    /// A query, which may also stand in the body.
    Query(Option<String>),
}

/// What can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteError {
    NotFound,
    Precision,
}

/// The unit of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Precision {
    pub(super) nanoseconds: i64,
}

impl Dialect {
    pub(super) fn of(uri: &Uri) -> Self {
        if uri.path().starts_with("/api/") || uri.path() == "/health" { Self::V2 } else { Self::V1 }
    }
}

impl Route {
    pub(super) fn parse(method: &Method, uri: &Uri) -> Result<Self, RouteError> {
        match (method.as_str(), uri.path()) {
            ("POST", "/write" | "/api/v2/write") => {
                let unit = parameter(uri, "precision").unwrap_or(Cow::Borrowed("ns"));
                let precision = Precision::parse(&unit, Dialect::of(uri));
                precision.map(Self::Write).ok_or(RouteError::Precision)
            }
            ("GET" | "HEAD", "/ping") => Ok(Self::Ping),
            ("GET", "/health") => Ok(Self::Health),
            ("POST", "/query") => Ok(Self::Query(parameter(uri, "q").map(Cow::into_owned))),
            _ => Err(RouteError::NotFound),
        }
    }
}

impl Precision {
    /// Both versions take an empty word for nanoseconds, as clients send it.
    fn parse(unit: &str, dialect: Dialect) -> Option<Self> {
        let nanoseconds = match (unit, dialect) {
            ("" | "ns", _) | ("n", Dialect::V1) => 1,
            ("us", _) | ("u" | "µ", Dialect::V1) => 1_000,
            ("ms", _) => 1_000_000,
            ("s", _) => 1_000_000_000,
            ("m", Dialect::V1) => 60_000_000_000,
            ("h", Dialect::V1) => 3_600_000_000_000,
            _ => return None,
        };
        Some(Self { nanoseconds })
    }

    /// A timestamp of this unit in nanoseconds; none if it is beyond what InfluxDB takes.
    pub(super) fn in_nanoseconds(self, timestamp: i64) -> Option<i64> {
        timestamp
            .checked_mul(self.nanoseconds)
            .filter(|time| (i64::MIN + 2..=i64::MAX - 1).contains(time))
    }

    /// A time in nanoseconds, without what this unit can't say.
    pub(super) fn truncate(self, nanoseconds: i64) -> i64 {
        nanoseconds - nanoseconds.rem_euclid(self.nanoseconds)
    }
}

/// Whether a query is the one that clients send before they write: to create a database.
pub(super) fn is_create_database(query: &str) -> bool {
    let query = query.trim().trim_end_matches(';');
    let mut words = query.split_whitespace();
    let mut next_is = |word: &str| words.next().is_some_and(|next| next.eq_ignore_ascii_case(word));
    next_is("CREATE") && next_is("DATABASE") && words.next().is_some() && !query.contains(';')
}

/// The first parameter of that name.
fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_scale_and_overflow() {
        let of = |unit, dialect| Precision::parse(unit, dialect).map(|unit| unit.nanoseconds);
        for (unit, v1, v2) in [
            ("", Some(1), Some(1)),
            ("n", Some(1), None),
            ("ns", Some(1), Some(1)),
            ("u", Some(1_000), None),
            ("us", Some(1_000), Some(1_000)),
            ("ms", Some(1_000_000), Some(1_000_000)),
            ("s", Some(1_000_000_000), Some(1_000_000_000)),
            ("m", Some(60_000_000_000), None),
            ("h", Some(3_600_000_000_000), None),
            ("d", None, None),
            ("MS", None, None),
        ] {
            assert_eq!((of(unit, Dialect::V1), of(unit, Dialect::V2)), (v1, v2), "{unit}");
        }
        let hours = Precision::parse("h", Dialect::V1).unwrap();
        assert_eq!(hours.in_nanoseconds(-2), Some(-7_200_000_000_000));
        assert_eq!(hours.in_nanoseconds(2_562_047), Some(9_223_369_200_000_000_000));
        assert_eq!(hours.in_nanoseconds(2_562_048), None);
        assert_eq!(hours.in_nanoseconds(i64::MIN + 2), None);
        assert_eq!(hours.truncate(7_200_000_000_001), 7_200_000_000_000);
        assert_eq!(hours.truncate(-1), -3_600_000_000_000);
    }

    #[test]
    fn only_creating_a_database_is_answered() {
        for (query, expected) in [
            ("CREATE DATABASE telegraf", true),
            (" create database \"a b\" WITH DURATION 1d ; ", true),
            ("CREATE DATABASE", false),
            ("CREATE DATABASE a; DROP DATABASE a", false),
            ("CREATE USER a", false),
            ("SHOW DATABASES", false),
            ("", false),
        ] {
            assert_eq!(is_create_database(query), expected, "{query}");
        }
    }
}
