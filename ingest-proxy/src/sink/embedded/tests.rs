use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use tempfile::TempDir;
use undertone_wire::FieldValue;

use super::*;
use crate::lines;

const NOW: u64 = 1_800_000_000;
const SECOND: i64 = 1_000_000_000;

fn open(folder: &TempDir, limits: EmbeddedLimits) -> (Embedded, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(NOW));
    let shared = Arc::clone(&now);
    let clock: WallClock =
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(shared.load(Ordering::SeqCst)));
    (Embedded::open_with_clock(folder.path(), limits, clock).unwrap(), now)
}

/// A point some seconds before now.
fn point(before: i64) -> Point {
    let time = (i64::try_from(NOW).unwrap() - before) * SECOND;
    Point::new("m").tag("session", "s").field("n", before).at(time)
}

fn exported(folder: &TempDir) -> Vec<Point> {
    let mut text = Vec::new();
    let count = export(folder.path(), &Selection::default(), &mut text).unwrap();
    let decoded = lines::decode(std::str::from_utf8(&text).unwrap());
    assert_eq!((decoded.points.len() as u64, decoded.unreadable), (count, 0));
    decoded.points
}

fn query(folder: &TempDir, sql: &str) -> Vec<String> {
    let reader = rusqlite::Connection::open(folder.path().join("store.sqlite3")).unwrap();
    let mut statement = reader.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(FieldValue::Float),
        Just(FieldValue::Float(-0.0)),
        Just(FieldValue::Float(1.0)),
        any::<i64>().prop_map(FieldValue::Integer),
        any::<u64>().prop_map(FieldValue::Unsigned),
        Just(FieldValue::Unsigned(u64::MAX)),
        any::<bool>().prop_map(FieldValue::Boolean),
        any::<String>().prop_map(FieldValue::String),
        "[0-9]{1,20}".prop_map(FieldValue::String),
    ]
}

fn any_point() -> impl Strategy<Value = Point> {
    let name = || prop_oneof![any::<String>(), "[a-c]", "[\"'\\\\{}:,= \u{1}-\u{1f}é]{1,5}x"];
    let tags =
        prop::collection::btree_map(prop_oneof![name(), Just("session".to_owned())], name(), 0..4);
    let fields = prop::collection::btree_map(name(), value(), 1..4);
    (name(), tags, fields, 0..20i64)
        .prop_map(|(measurement, tags, fields, time)| Point {
            measurement: measurement.into(),
            tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            fields: fields.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            timestamp: Some(i64::try_from(NOW).unwrap() * SECOND + time),
        })
        .prop_filter("what line protocol can say", |point| {
            lines::append(point, &mut String::new()).is_ok()
        })
}

/// One point for each series and time, in an order that the order of writing doesn't change.
fn normal(points: impl IntoIterator<Item = Point>) -> Vec<String> {
    let mut merged: std::collections::BTreeMap<String, Point> = Default::default();
    for point in points {
        let key = format!("{} {:?} {:?}", point.measurement, point.tags, point.timestamp);
        match merged.get_mut(&key) {
            Some(known) => known.fields.extend(point.fields),
            None => drop(merged.insert(key, point)),
        }
    }
    merged.into_values().map(|point| format!("{point:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_exported(points in prop::collection::vec(any_point(), 0..12)) {
        let folder = TempDir::new().unwrap();
        let (store, _) = open(&folder, EmbeddedLimits::default());
        block_on(store.write(&points)).unwrap();
        prop_assert_eq!(normal(exported(&folder)), normal(points));
    }
}

#[tokio::test]
async fn d3_a_repeated_write_overwrites_itself() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    let points: Vec<_> = (0..100).map(point).collect();
    store.write(&points).await.unwrap();
    store.write(&points).await.unwrap();
    assert_eq!(normal(exported(&folder)), normal(points));

    let corrected = point(5).field("n", 0.5);
    store.write(std::slice::from_ref(&corrected)).await.unwrap();
    assert_eq!(query(&folder, "SELECT count(*) || '' FROM sample"), ["100"]);
    assert!(exported(&folder).contains(&corrected), "also with another type");
}

#[tokio::test]
async fn a_person_can_query_it_while_it_is_open() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    let tagged = |outcome: &str, n: u64| {
        point(1).tag("outcome", outcome).field("n", n).field("up", true).field("who", "me")
    };
    store.write(&[tagged("ok", 7), tagged("failed", u64::MAX)]).await.unwrap();
    let sql = "SELECT measurement || session || (tags ->> 'outcome') || field || value || kind
               FROM point WHERE field = 'n' ORDER BY tags";
    assert_eq!(query(&folder, sql), ["msfailedn18446744073709551615u", "msokn7u"]);
    let sql = "SELECT DISTINCT typeof(value) FROM point WHERE field = 'up'";
    assert_eq!(query(&folder, sql), ["integer"]);
}

#[tokio::test]
async fn what_cant_be_stored_is_refused_and_the_rest_kept() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    let points = [point(1), point(2).field("n", f64::NAN), Point { timestamp: None, ..point(3) }];
    let error = store.write(&points).await.unwrap_err();
    let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
    assert_eq!(refused.iter().map(|refused| refused.index).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(exported(&folder), [point(1)]);
}

#[tokio::test]
async fn d4_what_is_too_old_is_deleted_counted_and_gone_from_the_disk() {
    let folder = TempDir::new().unwrap();
    let limits = EmbeddedLimits { age: Duration::from_secs(100), ..EmbeddedLimits::default() };
    let (store, now) = open(&folder, limits);
    let old = Point::new("old").tag("session", "NEEDLE").field("x", 1.0);
    let old = old.at((i64::try_from(NOW).unwrap() - 90) * SECOND);
    store.write(&[old, point(95), point(50), point(5)]).await.unwrap();
    let holds_needle = || {
        fs::read_dir(folder.path()).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"NEEDLE")
        })
    };
    assert!(holds_needle());
    now.fetch_add(20, Ordering::SeqCst);
    store.maintain().await.unwrap();
    assert_eq!(exported(&folder), [point(50), point(5)]);
    assert_eq!((store.stats().deleted_old, store.stats().deleted_full), (2, 0));
    assert!(!holds_needle());
    assert_eq!(query(&folder, "SELECT name FROM measurement"), ["m"]);
    assert_eq!(query(&folder, "SELECT name FROM field"), ["n"]);
}

#[tokio::test]
async fn d4_a_full_store_deletes_the_oldest_and_counts() {
    let folder = TempDir::new().unwrap();
    let limits = EmbeddedLimits { bytes: 200_000, ..EmbeddedLimits::default() };
    let (store, _) = open(&folder, limits);
    let mut written = 0;
    for batch in 0..40 {
        // Sessions come and go, and one stays.
        let points: Vec<_> = (0..250)
            .map(|index| point(100_000 - batch * 250 - index))
            .map(|point| point.field("f", 0.1))
            .map(|point| match point.timestamp {
                Some(time) if time % (2 * SECOND) == 0 => {
                    point.tag("session", format!("session {batch}"))
                }
                _ => point,
            })
            .collect();
        store.write(&points).await.unwrap();
        written += points.len() * 2;
    }
    store.maintain().await.unwrap();
    let size = fs::metadata(folder.path().join("store.sqlite3")).unwrap().len();
    assert!(size <= 200_000, "{size}");
    let stats = store.stats();
    let left = exported(&folder);
    assert_eq!(left.len() * 2 + usize::try_from(stats.deleted_full).unwrap(), written);
    assert_eq!(stats.deleted_old, 0);
    assert!(left.len() > 1000, "not more than needed: {}", left.len());
    let mut times: Vec<_> = left.iter().filter_map(|point| point.timestamp).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == SECOND), "the newest, without gaps");
    assert_eq!(times.last().copied(), point(100_000 - 9_999).timestamp);
}

#[tokio::test]
async fn exporting_sorts_nothing_so_its_memory_is_bounded() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    store.write(&[point(1)]).await.unwrap();
    let reader = rusqlite::Connection::open(folder.path().join("store.sqlite3")).unwrap();
    let explain = format!("EXPLAIN QUERY PLAN {}", export::SELECTED);
    let mut statement = reader.prepare(&explain).unwrap();
    let plan: Vec<String> = statement
        .query_map(Selection::default().parameters(), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
}

#[tokio::test]
async fn exporting_goes_on_while_it_writes_and_sees_one_moment() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    store.write(&(0..2000).map(point).collect::<Vec<_>>()).await.unwrap();

    /// Writes to the store at the first byte that it is given.
    struct Meddler(Embedded, bool);
    impl std::io::Write for Meddler {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !std::mem::replace(&mut self.1, true) {
                let points: Vec<_> = (2000..3000).map(point).collect();
                block_on(self.0.write(&points)).unwrap();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let path = folder.path().to_owned();
    let export = move || export(&path, &Selection::default(), &mut Meddler(store, false));
    assert_eq!(tokio::task::spawn_blocking(export).await.unwrap().unwrap(), 2000);
    assert_eq!(exported(&folder).len(), 3000);
}

#[tokio::test]
async fn a_selection_leaves_what_it_names() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    let other = |before| Point { measurement: "other".into(), ..point(before) };
    let theirs = |before| point(before).tag("session", "t");
    let all = [point(30), point(20), point(10), other(20), theirs(20)];
    store.write(&all).await.unwrap();
    let name = |name: &str| Some(name.to_owned());
    let ago = |seconds| Some(UNIX_EPOCH + Duration::from_secs(NOW - seconds));
    for (measurement, session, since, left) in [
        (None, None, None, all.to_vec()),
        (name("m"), None, None, vec![point(30), point(20), point(10), theirs(20)]),
        (name("m"), name("t"), None, vec![theirs(20)]),
        (None, name("s"), ago(20), vec![point(20), point(10), other(20)]),
        (None, None, ago(9), vec![]),
        (name("x"), None, None, vec![]),
    ] {
        let selection = Selection { measurement, session, since };
        let mut text = Vec::new();
        let count = export(folder.path(), &selection, &mut text).unwrap();
        let points = lines::decode(std::str::from_utf8(&text).unwrap()).points;
        assert_eq!(count as usize, points.len());
        assert_eq!(normal(points), normal(left.clone()), "{selection:?}");
        let rows = csv(folder.path(), &selection, &mut Vec::new()).unwrap();
        assert_eq!(rows as usize, left.len(), "each point has one field");
    }
}

#[tokio::test]
async fn csv_says_what_is_stored() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    let hostile = point(1).tag("t", "a,\"b\"").field("f", 0.1).field("s", "x,\n\"y\"");
    let hostile = hostile.field("b", true).field("n", u64::MAX);
    store.write(std::slice::from_ref(&hostile)).await.unwrap();
    let mut text = Vec::new();
    assert_eq!(csv(folder.path(), &Selection::default(), &mut text).unwrap(), 4);
    let mut table = ::csv::Reader::from_reader(&*text);
    let names = table.headers().unwrap().clone();
    assert_eq!(names, ["time", "measurement", "session", "tags", "field", "kind", "value"][..]);
    let mut rows: Vec<Vec<String>> =
        table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    rows.sort();
    let time = hostile.timestamp.unwrap().to_string();
    let expected = [
        ("b", "b", "1"),
        ("f", "f", "0.1"),
        ("n", "u", "18446744073709551615"),
        ("s", "s", "x,\n\"y\""),
    ];
    let tags = r#"{"t":"a,\"b\""}"#;
    assert_eq!(
        rows,
        expected.map(|(field, kind, value)| {
            [&time, "m", "s", tags, field, kind, value].map(str::to_owned).to_vec()
        })
    );
}

#[tokio::test]
async fn a_backup_is_a_private_store_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    store.write(&(0..3000).map(point).collect::<Vec<_>>()).await.unwrap();
    let copy = TempDir::new().unwrap();
    let file = copy.path().join("store.sqlite3");
    let bytes = backup(folder.path(), &file).unwrap();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (bytes, 0o600));
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 1, "nothing beside it");
    let before = fs::read(&file).unwrap();
    assert!(backup(folder.path(), &file).unwrap_err().to_string().contains("exists"));
    assert_eq!(fs::read(&file).unwrap(), before);
    store.write(&[point(5000)]).await.unwrap();

    let (again, _) = open(&copy, EmbeddedLimits::default());
    assert_eq!(exported(&copy).len(), 3000);
    assert_eq!(query(&copy, "PRAGMA integrity_check"), ["ok"]);
    again.write(&[point(6000)]).await.unwrap();
    assert_eq!(exported(&copy).len(), 3001, "it is a store like any other");

    let nowhere = TempDir::new().unwrap();
    let file = nowhere.path().join("copy");
    assert!(backup(nowhere.path(), &file).is_err());
    assert!(!file.exists());
}

#[tokio::test]
async fn a_closed_store_says_so_and_can_be_opened_again() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(&folder, EmbeddedLimits::default());
    store.write(&[point(1)]).await.unwrap();
    store.close().await.unwrap();
    let error = store.write(&[point(2)]).await.unwrap_err();
    assert_eq!(error.kind(), &SinkErrorKind::Fatal);
    let (store, _) = open(&folder, EmbeddedLimits::default());
    assert_eq!(exported(&folder), [point(1)]);
    drop(store);
    assert!(
        export(TempDir::new().unwrap().path(), &Selection::default(), &mut Vec::new()).is_err()
    );
}
