//! What is taken for false, and that nothing is which an agent can say.

mod agent;

use std::hash::RandomState;

use undertone_wire::{
    Point,
    schema::{LONGEST_SPAN, Schema},
    session::SessionKey,
};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
/// When the proxy began.
const BEGIN: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Ten a second: 600 in an interval.
const SCHEMA: &str = r#"
namespace = "app"
[[measurement]]
name = "hits"
kind = "counter"
description = "Hits."
max_per_second = 10
digits = "all"
linkable = true
[[measurement]]
name = "size"
kind = "histogram"
description = "Sizes."
max_per_second = 10
digits = "all"
linkable = true
[[measurement]]
name = "open"
kind = "gauge-integer"
description = "Open."
buckets = [0, 1]
"#;

/// A proxy's knowledge, and one session that reports to it.
struct Fixture {
    schema: Schema,
    hasher: RandomState,
    plausible: Plausible,
    session: SessionId,
    most_per_interval: Option<f64>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            schema: Schema::from_toml(SCHEMA).unwrap(),
            hasher: RandomState::new(),
            plausible: Plausible::default(),
            session: SessionKey::from_seed(&[1; 32]).id(),
            most_per_interval: None,
        }
    }

    fn claim(&self, point: &Point) -> Claim {
        let reading = self.schema.read(point).unwrap();
        let declared = self.schema.declared(&point.measurement, &point.tags).unwrap();
        let slot = point.timestamp.unwrap().try_into().unwrap();
        let declared = (declared, &reading);
        Claim::of(point, slot, &self.schema, declared, self.most_per_interval, &self.hasher)
    }

    /// What is impossible of a parcel that comes so long after the proxy's beginning.
    fn judge(&mut self, after: Duration, points: &[Point]) -> Vec<(usize, &'static str)> {
        let points = points.iter().map(|point| Some(self.claim(point))).collect();
        let arrived = BEGIN + after;
        let claims = Claims { session: self.session, age: Age(0), arrived, points };
        let impossible = self.plausible.judge(&claims, arrived);
        impossible.into_iter().map(|it| (it.point, it.reason)).collect()
    }
}

fn hits(count: i64, delta: i64, slot: i64) -> Point {
    Point::new("app.hits.count").field("count", count).field("delta", delta).at(slot)
}

/// So many values of 1.
fn sizes(count: i64, delta: u32, slot: i64) -> Point {
    let point = Point::new("app.size.histogram").field("count", count);
    let point = point.field("delta", i64::from(delta)).at(slot);
    if delta == 0 {
        return point;
    }
    let point = point.field("sum", i64::from(delta)).field("min", 1_i64).field("max", 1_i64);
    let index = undertone::buckets::index(1);
    point.field(&format!("b{index}"), u64::from(delta))
}

fn open(value: i64, slot: i64) -> Point {
    Point::new("app.open.gauge").field("value", value).at(slot)
}

#[test]
fn s3_what_one_parcel_says_must_be_possible() {
    let longest = 10 * i64::try_from(LONGEST_SPAN.as_secs()).unwrap();
    for (what, points, expected) in [
        ("as much as can be", vec![hits(600, 600, 1), hits(1_200, 600, 0)], None),
        ("more in an interval", vec![hits(600, 600, 1), hits(1_201, 601, 0)], Some((1, TOO_MANY))),
        ("less than nothing", vec![hits(600, 600, 1), hits(-1, -601, 0)], Some((1, TOO_MANY))),
        ("merged intervals", vec![hits(0, 0, 4), hits(2_400, 2_400, 0)], None),
        ("too much for them", vec![hits(0, 0, 4), hits(2_401, 2_401, 0)], Some((1, TOO_MANY))),
        ("all since the cut", vec![hits(longest, longest, 0)], None),
        ("more than ever", vec![hits(longest + 1, longest + 1, 0)], Some((0, TOO_MANY))),
        ("two at once", vec![hits(1, 1, 0), hits(2, 1, 0)], Some((1, TWICE))),
        ("gauges, two at once", vec![open(1, 3), open(0, 3)], Some((1, TWICE))),
        ("one of each", vec![hits(1, 1, 0), sizes(1, 1, 0), open(1, 0)], None),
        ("a sum that is none", vec![hits(10, 10, 1), hits(15, 6, 0)], Some((1, TOTAL))),
        ("in any order", vec![hits(16, 6, 0), hits(10, 10, 1)], None),
        ("down again", vec![hits(10, 10, 1), hits(4, -6, 0)], None),
        ("a histogram, too", vec![sizes(5, 5, 1), sizes(5, 5, 0)], Some((1, TOTAL))),
        // Intervals of which nothing is known lie between.
        ("later registered", vec![hits(10, 10, 9), open(1, 5), hits(700, 6, 0)], None),
    ] {
        let impossible = Fixture::new().judge(MINUTE, &points);
        assert_eq!(impossible, expected.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn s3_a_session_has_no_more_intervals_than_there_were() {
    let mut fixture = Fixture::new();
    let quarter = |begin: i64| -> Vec<Point> {
        (0..15).map(|slot| hits(begin + 14 - slot, 1, slot)).rev().collect()
    };
    let time = Duration::from_secs(900);
    for number in 0..100_u32 {
        let begin = 1 + 15 * i64::from(number);
        assert_eq!(fixture.judge(time * (number + 1), &quarter(begin)), [], "as time passes");
    }
    let mut impossible = Vec::new();
    for number in 0..10 {
        impossible.extend(fixture.judge(time * 100, &quarter(1_501 + 15 * number)));
    }
    assert!(impossible.len() > 100, "{impossible:?}");
    assert!(impossible.iter().all(|(_, reason)| *reason == INTERVALS), "{impossible:?}");
}

#[test]
fn s3_all_that_a_session_counts_must_have_had_time_to_happen() {
    let mut fixture = Fixture::new();
    let most = 10 * i64::try_from(LONGEST_SPAN.as_secs()).unwrap();
    // What its first parcel says may have happened before.
    assert_eq!(fixture.judge(MINUTE, &[hits(most, most, 0)]), []);
    assert_eq!(fixture.judge(2 * MINUTE, &[hits(most * 2, most, 0)]), [(0, SINCE_BEGIN)]);
    // A day later there is room for four of them, and not for a fifth.
    let day = Duration::from_secs(24 * 3_600);
    for number in 2..6 {
        assert_eq!(fixture.judge(day, &[hits(most * number, most, 0)]), [], "{number}");
    }
    assert_eq!(fixture.judge(day, &[hits(most * 6, most, 0)]), [(0, SINCE_BEGIN)]);
}

#[test]
fn s3_a_total_goes_on_where_it_was() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.judge(MINUTE, &[hits(5_000_000, 1, 0), sizes(5_000_000, 1, 0)]), []);
    // Others may have been lost: 600 a minute, and half an hour of doubt.
    assert_eq!(fixture.judge(2 * MINUTE, &[hits(5_000_700, 1, 0)]), []);
    assert_eq!(fixture.judge(3 * MINUTE, &[hits(6_000_000, 1, 0)]), [(0, TOTAL)]);
    assert_eq!(fixture.judge(4 * MINUTE, &[hits(4_000_000, 1, 0)]), [(0, TOTAL)]);
    // Which parcel is earlier isn't known yet; what counts back can have.
    assert_eq!(fixture.judge(5 * MINUTE, &[sizes(4_999_999, 1, 0), hits(4_999_999, 1, 0)]), []);
    let later = 60 * MINUTE;
    let points = [sizes(4_999_999, 1, 0), hits(4_999_999, 1, 0)];
    assert_eq!(fixture.judge(later, &points), [(0, TOTAL)], "a histogram never counts back");
}

#[test]
fn s3_a_session_weighs_no_more_than_the_operator_allows() {
    let mut fixture = Fixture::new();
    fixture.most_per_interval = Some(100.0);
    for number in 1..=21 {
        // Many intervals may be behind its first parcel.
        assert_eq!(fixture.judge(MINUTE, &[hits(600 * number, 600, 0)]), []);
    }
    assert_eq!(fixture.judge(2 * MINUTE, &[hits(13_000, 40_000, 0)]), [(0, WEIGHT)]);
}

#[test]
fn s2_what_is_known_of_sessions_is_bounded() {
    let mut fixture = Fixture::new();
    for number in 0..SESSIONS_LIMIT as u32 + 10 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        fixture.session = SessionId::from(bytes);
        fixture.judge(MINUTE, &[open(1, 0)]);
    }
    let known = &fixture.plausible;
    assert_eq!((known.sessions.len(), known.seen.len()), (SESSIONS_LIMIT, SESSIONS_LIMIT));
    assert_eq!(known.series, SESSIONS_LIMIT);
    assert!(known.sessions.contains_key(&fixture.session), "the latest is known");
}
