//! In the words of which version of InfluxDB something is asked, and in which unit of time.

use std::borrow::Cow;

use http::Uri;

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// InfluxDB 1.
    V1,
    /// InfluxDB 2.
    V2,
}

/// The unit of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    nanoseconds: i64,
}

impl Dialect {
    /// That of a path.
    pub fn of(uri: &Uri) -> Self {
        if uri.path().starts_with("/api/") || uri.path() == "/health" { Self::V2 } else { Self::V1 }
    }
}

impl Precision {
    /// What both versions take where nothing is said.
    pub const NANOSECONDS: Self = Self { nanoseconds: 1 };

    /// The one that a request to write asks for; none if there is no such unit.
    pub fn of(uri: &Uri) -> Option<Self> {
        match parameter(uri, "precision") {
            None => Some(Self::NANOSECONDS),
            Some(unit) => Self::parse(&unit, Dialect::of(uri)),
        }
    }

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
    pub fn in_nanoseconds(self, timestamp: i64) -> Option<i64> {
        timestamp
            .checked_mul(self.nanoseconds)
            .filter(|time| (i64::MIN + 2..=i64::MAX - 1).contains(time))
    }

    /// A time in nanoseconds, without what this unit can't say.
    pub fn truncate(self, nanoseconds: i64) -> i64 {
        nanoseconds - nanoseconds.rem_euclid(self.nanoseconds)
    }
}

/// The first parameter of that name.
pub fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<Cow<'a, str>> {
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
    fn the_unit_stands_in_the_query() {
        for (target, expected) in [
            ("/write", Some(1)),
            ("/write?db=a&precision=", Some(1)),
            ("/write?consistency=&db=mydb&precision=s&rp=", Some(1_000_000_000)),
            ("/write?precision=%C2%B5", Some(1_000)),
            ("/write?precision=h&precision=s", Some(3_600_000_000_000)),
            ("/api/v2/write?org=o&bucket=b&precision=h", None),
            ("/write?precision=fortnight", None),
        ] {
            let uri: Uri = target.parse().unwrap();
            assert_eq!(Precision::of(&uri).map(|unit| unit.nanoseconds), expected, "{target}");
        }
    }
}
