//! What a page reads of a store.

use undertone_wire::Point;

use super::*;
use crate::sink::{
    Sink,
    embedded::{Embedded, EmbeddedLimits},
};

const SECOND: i64 = 1_000_000_000;
/// 2024-02-29 12:10:00 UTC, in seconds; a multiple of a bucket of 15 minutes.
const NOW: i64 = 1_709_208_600;

fn counter(session: &str, seconds_ago: i64, delta: i64) -> Point {
    Point::new("app.things.count")
        .tag("session", session)
        .field("count", 1_000 + delta)
        .field("delta", delta)
        .at((NOW - seconds_ago) * SECOND)
}

async fn view(query: &str, points: &[Point]) -> View {
    let folder = tempfile::tempdir().unwrap();
    let limits = EmbeddedLimits { age: Duration::from_secs(1 << 32), ..Default::default() };
    let store = Embedded::open(folder.path(), limits).unwrap();
    store.write(points).await.unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
    Reader::open(folder.path()).unwrap().view(&Selection::parse(query), now).unwrap()
}

fn plot(view: &View) -> &Plot {
    &view.measurements[0].plots[0]
}

#[tokio::test]
async fn one_line_a_session_that_ends_in_the_newest_sample() {
    let points = [
        counter("aaaa-1", 600, 1),
        counter("bbbb-2", 300, 5),
        // These two are in one bucket.
        counter("aaaa-1", 3, 10),
        counter("aaaa-1", 2, 20),
        counter("cccc-3", 3_600, 7),
    ];
    let view = view("", &points).await;
    let sessions: Vec<_> =
        view.sessions.iter().map(|s| (s.id.as_str(), s.colour, s.points)).collect();
    // The third reported earlier than this range, and keeps its colour to itself.
    assert_eq!(sessions, [("aaaa-1", 1, Some(3)), ("bbbb-2", 2, Some(1))]);
    assert_eq!(view.measurements[0].fields, ["count", "delta"]);
    let plot = plot(&view);
    assert_eq!((plot.field.as_str(), plot.tags.as_str()), ("delta", "{}"));
    let at = |seconds_ago: i64| (NOW - seconds_ago) * SECOND;
    assert_eq!(plot.lines[0].points, [(at(600), 1.0), (at(2), 20.0)]);
    assert_eq!(plot.lines[1].points, [(at(300), 5.0)]);
    assert_eq!(plot.lines[1].session, "bbbb");
}

#[tokio::test]
async fn a_line_is_thinned_out() {
    let points: Vec<Point> = (0..900).map(|ago| counter("a", ago, ago % 2)).collect();
    let thinned = view("", &points).await;
    let line = &plot(&thinned).lines[0];
    assert!((230..=BUCKETS as usize).contains(&line.points.len()), "{}", line.points.len());
    assert!(line.points.is_sorted_by(|a, b| a.0 < b.0));
    let middle = line.points[line.points.len() / 2].1;
    assert!((0.25..=0.75).contains(&middle), "an average, not {middle}");
    // A total is what it was at the end of each bucket.
    let totals = view("app.things.count=count", &points).await;
    let of_totals = &plot(&totals).lines[0].points;
    assert!(of_totals.iter().all(|(_, total)| [1_000.0, 1_001.0].contains(total)));
}

#[tokio::test]
async fn a_young_store_is_shown_from_its_beginning() {
    let minutes = |view: &View| (view.time.to - view.time.from) as f64 / (60 * SECOND) as f64;
    for (oldest_seconds_ago, shown) in [(2, 0.9), (100, 1.9), (200, 3.8), (600, 15.0)] {
        let view = view("", &[counter("a", oldest_seconds_ago, 1)]).await;
        assert!((minutes(&view) - shown).abs() < 0.1, "{oldest_seconds_ago}: {}", minutes(&view));
        assert_eq!(plot(&view).lines[0].points.len(), 1);
    }
}

#[tokio::test]
async fn sessions_and_charts_are_bounded_and_the_rest_is_counted() {
    let mut points: Vec<Point> =
        (0..40).map(|session| counter(&format!("s{session:02}"), 100 - session, 1)).collect();
    for number in 0..80 {
        points.push(
            Point::new(format!("app.n{number}.gauge"))
                .tag("session", "s00")
                .field("value", 1_i64)
                .at(NOW * SECOND),
        );
    }
    let view = view("", &points).await;
    assert_eq!((view.sessions.len(), view.sessions_left_out), (SESSIONS_LIMIT, 28));
    let mut colours: Vec<_> = view.sessions.iter().map(|session| session.colour).collect();
    colours.sort_unstable();
    assert!(colours.into_iter().eq(0..COLOURS), "each has its own");
    let charts: usize = view.measurements.iter().map(|m| m.plots.len()).sum();
    assert_eq!((charts, view.charts_left_out), (CHARTS_LIMIT, 21));
}

#[test]
fn the_fields_that_say_most_are_the_default() {
    let fields: Vec<(i64, String)> = ["count", "delta", "m1", "mean", "p95", "value"]
        .into_iter()
        .zip(0..)
        .map(|(name, id)| (id, name.to_owned()))
        .collect();
    let names = |measurement: &str, wanted: Option<&str>| -> Vec<String> {
        chosen(measurement, &fields, wanted).into_iter().map(|(_, name)| name).collect()
    };
    assert_eq!(names("a.b.count", None), ["delta"]);
    assert_eq!(names("a.b.gauge", None), ["value"]);
    assert_eq!(names("a.b.meter", None), ["m1"]);
    assert_eq!(names("a.b.histogram", None), ["mean", "p95"]);
    assert_eq!(names("a.b.timer", None), ["mean", "p95"]);
    assert_eq!(names("a.b.timer", Some("count")), ["count"]);
    assert_eq!(names("a.b.timer", Some("no such field")), ["mean", "p95"]);
}
