//! What a queue does, and what it keeps.

mod held;
mod kept;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use super::*;

/// A clock that stands still until it is told to go on.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    fn clock(&self) -> WallClock {
        let seconds = Arc::clone(&self.0);
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst)))
    }
}

fn open(folder: &TempDir, limits: QueueLimits, clock: &TestClock) -> Queue {
    Queue::open_with_clock(folder.path(), limits, clock.clock()).unwrap()
}

fn parcel(number: u8) -> Admission {
    let point = |time| Point::new("m").tag("session", "s").field("n", i64::from(number)).at(time);
    let first = i64::from(number) * 100;
    Admission {
        parcel_id: [number; 16],
        points: vec![point(first), point(first + 1)],
        ..Admission::default()
    }
}

async fn waiting(queue: &Queue, sink: &str) -> Vec<i64> {
    let batch = queue.read(sink, usize::MAX).await.unwrap();
    batch.points.iter().filter_map(|point| point.timestamp).collect()
}

/// What another process would find after a power cut now: the files as they are on the disk.
fn after_a_power_cut(folder: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn d1_the_answer_comes_after_the_commit() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    for number in 1..=20 {
        assert_eq!(queue.admit(parcel(number)).await.unwrap(), Admitted::New);
        let survivor = open(&after_a_power_cut(&folder), QueueLimits::default(), &clock);
        assert_eq!(survivor.stats().waiting_parcels, u64::from(number));
        assert_eq!(survivor.admit(parcel(number)).await.unwrap(), Admitted::Replayed);
    }
}

#[tokio::test]
async fn d1_many_at_once_are_all_held_when_they_are_answered() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    let calls: Vec<_> = (0..=255)
        .map(|number| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.admit(parcel(number)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), Admitted::New);
    }
    let survivor = open(&after_a_power_cut(&folder), QueueLimits::default(), &clock);
    assert_eq!(survivor.stats().waiting_parcels, 256);
    assert_eq!(survivor.stats().admitted(), Tally { parcels: 256, points: 512 });
}

#[tokio::test]
async fn d1_counts_of_refusals_are_in_the_commit() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    let refused = Admission {
        parcel_id: [9; 16],
        refused: vec![("undeclared", 3), ("range", 1)],
        ..Admission::default()
    };
    queue.admit(refused.clone()).await.unwrap();
    queue.admit(refused).await.unwrap();
    let survivor = open(&after_a_power_cut(&folder), QueueLimits::default(), &clock);
    let stats = survivor.stats();
    assert_eq!(stats.refused().collect::<Vec<_>>(), [("range", 1), ("undeclared", 3)]);
    assert_eq!((stats.admitted().parcels, stats.replayed(), stats.waiting_parcels), (1, 1, 0));
}

#[tokio::test]
async fn d1_after_a_failed_commit_the_same_parcel_is_admitted_later() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let store = Store::open(folder.path(), QueueLimits::default(), clock.clock()).unwrap();
    // The disk: SQLite refuses to let the file grow beyond this.
    store.connection.pragma_update(None, "max_page_count", 40).unwrap();
    let queue = Queue::over(store).unwrap();
    queue.register_sinks(&["a"]).await.unwrap();

    let large = |number| {
        let mut admission = parcel(number);
        admission.points[0] =
            admission.points[0].clone().field("text", "x".repeat(20_000).as_str());
        admission
    };
    let mut stored = 0;
    let error = loop {
        match queue.admit(large(stored + 1)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StorageErrorKind::Full);
    assert!(error.is_retryable());
    assert!(stored > 0);
    assert_eq!(queue.stats().waiting_parcels, u64::from(stored));
    assert_eq!(queue.stats().admitted().parcels, u64::from(stored));

    let batch = queue.read("a", usize::MAX).await.unwrap();
    queue.advance("a", batch.through.unwrap(), Vec::new()).await.unwrap();
    assert_eq!(queue.admit(large(stored + 1)).await.unwrap(), Admitted::New);
    assert_eq!(queue.admit(large(stored + 1)).await.unwrap(), Admitted::Replayed);
}

#[tokio::test]
async fn d2_a_parcel_is_admitted_once_within_its_retention() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
    let once = waiting(&queue, "a").await;

    clock.advance(Duration::from_secs(47 * 3600));
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed);
    assert_eq!(waiting(&queue, "a").await, once);
    assert_eq!(queue.stats().replayed(), 1);

    // Delivered and reopened, it is still known.
    let batch = queue.read("a", 10).await.unwrap();
    queue.advance("a", batch.through.unwrap(), Vec::new()).await.unwrap();
    queue.close().await.unwrap();
    let queue = open(&folder, QueueLimits::default(), &clock);
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed);
    assert_eq!(queue.stats().waiting_parcels, 0);

    clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
}

#[tokio::test]
async fn d2_of_two_equal_parcels_at_once_one_is_admitted() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    let (one, other) = tokio::join!(queue.admit(parcel(1)), queue.admit(parcel(1)));
    let mut outcomes = [one.unwrap(), other.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == Admitted::Replayed);
    assert_eq!(outcomes, [Admitted::New, Admitted::Replayed]);
    assert_eq!(queue.stats().waiting_parcels, 1);
}

#[tokio::test]
async fn d4_a_full_queue_drops_the_oldest_and_counts() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let each = lines::encode(&parcel(1).points).unwrap().len() as u64 + 64;
    let limits = QueueLimits { bytes: 3 * each + 10, ..QueueLimits::default() };
    let queue = open(&folder, limits, &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    for number in 1..=5 {
        queue.admit(parcel(number)).await.unwrap();
    }
    assert_eq!(waiting(&queue, "a").await, [300, 301, 400, 401, 500, 501]);
    let stats = queue.stats();
    assert_eq!(stats.dropped_full(), Tally { parcels: 2, points: 4 });
    assert_eq!(stats.dropped_old(), Tally::default());
    assert!(stats.waiting_bytes <= 3 * each + 10);
    assert_eq!(stats.admitted().points, 10);
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed, "dropped, but known");
}

#[tokio::test]
async fn d4_a_flood_pushes_out_nothing_of_those_who_brought_less() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let each = lines::encode(&parcel(1).points).unwrap().len() as u64 + 64;
    let limits = QueueLimits { bytes: 100 * each + 60, ..QueueLimits::default() };
    let queue = open(&folder, limits, &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    let of = |session: u8, number| Admission { session: Some([session; 16]), ..parcel(number) };
    // Two that bring little, the one first, the other last, and eight that bring all they can.
    for number in 1..=5 {
        queue.admit(of(1, number)).await.unwrap();
    }
    for number in 10..=240 {
        queue.admit(of(number % 8 + 10, number)).await.unwrap();
    }
    for number in 241..=245 {
        queue.admit(of(2, number)).await.unwrap();
    }
    let times = waiting(&queue, "a").await;
    let kept = |numbers: std::ops::RangeInclusive<i64>| {
        numbers.filter(|number| times.contains(&(number * 100))).count()
    };
    assert_eq!((kept(1..=5), kept(241..=245)), (5, 5));
    assert_eq!(kept(225..=240), 16, "of the others the newest");
    assert!(queue.stats().waiting_bytes <= 100 * each + 60);
    assert_eq!(queue.stats().dropped_full().parcels + queue.stats().waiting_parcels, 241);
}

#[tokio::test]
async fn d4_what_waits_too_long_is_dropped_and_counted() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let limits = QueueLimits { age: Duration::from_secs(3600), ..QueueLimits::default() };
    let queue = open(&folder, limits.clone(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    queue.admit(parcel(1)).await.unwrap();
    clock.advance(Duration::from_secs(1800));
    queue.admit(parcel(2)).await.unwrap();
    clock.advance(Duration::from_secs(1801));
    queue.maintain().await.unwrap();
    assert_eq!(waiting(&queue, "a").await, [200, 201]);
    assert_eq!(queue.stats().dropped_old(), Tally { parcels: 1, points: 2 });
    // Counts outlive the process.
    queue.close().await.unwrap();
    let stats = open(&folder, limits, &clock).stats();
    assert_eq!(stats.dropped_old(), Tally { parcels: 1, points: 2 });
    assert_eq!(stats.waiting_parcels, 1);
}

#[tokio::test]
async fn d4_remembered_ids_are_bounded() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits { remember_ids: 3, ..QueueLimits::default() }, &clock);
    for number in 1..=5 {
        queue.admit(parcel(number)).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    queue.maintain().await.unwrap();
    assert_eq!(queue.stats().remembered_ids, 3);
    assert_eq!(queue.stats().forgotten_early(), 2);
    assert_eq!(queue.admit(parcel(5)).await.unwrap(), Admitted::Replayed);
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
}

#[tokio::test]
async fn d4_the_quarantine_is_bounded() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let limits = QueueLimits { quarantine_bytes: 25, ..QueueLimits::default() };
    let queue = open(&folder, limits, &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    let line = |text: &str| Quarantined {
        sink: "a".to_owned(),
        reason: "why".to_owned(),
        line: text.to_owned(),
    };
    let refused = vec![line("0123456789"), line("1123456789"), line("2123456789")];
    queue.advance("a", 0, refused).await.unwrap();
    assert_eq!(queue.quarantined(9).await.unwrap(), [line("2123456789")]);
    assert_eq!((queue.stats().quarantined(), queue.stats().quarantine_dropped()), (3, 2));
}

#[tokio::test]
async fn every_sink_has_a_position_and_the_last_one_deletes() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.admit(parcel(1)).await.unwrap();
    queue.register_sinks(&["a", "b"]).await.unwrap();
    queue.admit(parcel(2)).await.unwrap();

    let first = queue.read("a", 1).await.unwrap();
    assert_eq!(first.points.len(), 2, "whole parcels, at least one");
    queue.advance("a", first.through.unwrap(), Vec::new()).await.unwrap();
    assert_eq!(waiting(&queue, "a").await, [200, 201]);
    assert_eq!(waiting(&queue, "b").await, [100, 101, 200, 201]);
    assert_eq!((queue.lag("a").await.unwrap(), queue.lag("b").await.unwrap()), (1, 2));
    assert_eq!(queue.stats().waiting_parcels, 2);

    queue.close().await.unwrap();
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a", "b"]).await.unwrap();
    assert_eq!(waiting(&queue, "a").await, [200, 201]);
    let all = queue.read("b", usize::MAX).await.unwrap();
    queue.advance("b", all.through.unwrap(), Vec::new()).await.unwrap();
    assert_eq!(queue.stats().waiting_parcels, 1);
    assert_eq!(queue.stats().delivered(), Tally { parcels: 1, points: 2 });

    // A sink that is no longer there holds nothing up.
    queue.register_sinks(&["b"]).await.unwrap();
    assert_eq!((queue.stats().waiting_parcels, queue.stats().waiting_bytes), (0, 0));
    assert_eq!(queue.read("a", 1).await.unwrap_err().kind(), StorageErrorKind::UnknownSink);
    assert_eq!(queue.read("b", 1).await.unwrap(), PointBatch::default());
}

#[tokio::test]
async fn a_corrupt_file_is_set_aside() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    for number in 0..=255 {
        queue.admit(parcel(number)).await.unwrap();
    }
    queue.close().await.unwrap();
    let path = folder.path().join("queue.sqlite3");
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0xa5);
    let nonsense = b"this is no database at all, and never was one".repeat(100);
    for (damaged, time) in [(bytes, 1_800_000_000), (nonsense, 1_800_000_001)] {
        fs::write(&path, &damaged).unwrap();
        let queue = open(&folder, QueueLimits::default(), &clock);
        assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
        queue.close().await.unwrap();
        let aside = folder.path().join(format!("queue.sqlite3.corrupt-{time}"));
        assert!(fs::read(&aside).unwrap() == damaged, "kept as it was");
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let path = folder.path().join("queue.sqlite3");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1_000).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let error =
        Queue::open_with_clock(folder.path(), QueueLimits::default(), clock.clock()).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NewerFormat);
    assert!(error.to_string().contains("has format 1000, this program knows up to"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn files_are_private() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let data_dir = folder.path().join("deep").join("data");
    let queue = Queue::open_with_clock(&data_dir, QueueLimits::default(), clock.clock()).unwrap();
    queue.admit(parcel(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    for name in ["queue.sqlite3", "queue.sqlite3-wal"] {
        assert_eq!(mode(&data_dir.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn s7_what_was_delivered_is_gone_from_the_disk() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    let mut admission = parcel(1);
    admission.points[0] = Point::new("m").field("text", "NEEDLE".repeat(2000).as_str()).at(1);
    queue.admit(admission).await.unwrap();
    let holds_needle = || {
        fs::read_dir(folder.path()).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"NEEDLE")
        })
    };
    assert!(holds_needle());
    let batch = queue.read("a", 10).await.unwrap();
    queue.advance("a", batch.through.unwrap(), Vec::new()).await.unwrap();
    queue.maintain().await.unwrap();
    assert!(!holds_needle());
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    assert_eq!(size("queue.sqlite3-wal"), 0);
}

#[tokio::test]
async fn a_second_process_is_kept_out_and_a_closed_queue_says_so() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    let other = rusqlite::Connection::open(folder.path().join("queue.sqlite3")).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let error = other.query_row("SELECT count(*) FROM parcel", [], |_| Ok(())).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));

    let handle = queue.clone();
    queue.close().await.unwrap();
    assert_eq!(handle.admit(parcel(1)).await.unwrap_err().kind(), StorageErrorKind::Closed);
}

#[tokio::test]
async fn it_can_be_reopened_right_after_it_was_dropped() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    for number in 1..=10 {
        let queue = open(&folder, QueueLimits::default(), &clock);
        assert_eq!(queue.stats().waiting_parcels, u64::from(number - 1));
        queue.admit(parcel(number)).await.unwrap();
    }
}

/// Commits in the write-ahead log: frames that say how large the file is after them (file format of
/// SQLite, section 4.1). With `synchronous=FULL` each of them is waited for.
fn commits(folder: &TempDir) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = fs::read(folder.path().join("queue.sqlite3-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let frames = log[HEADER..].chunks_exact(FRAME_HEADER + page);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn p8_chaff_takes_the_same_commit_as_what_is_stored_refused_or_known() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let mut store =
        store::Store::open(folder.path(), QueueLimits::default(), clock.clock()).unwrap();
    let prepared = |id: u8, lines: &str, refused| Prepared {
        parcel_id: [id; 16],
        lines: lines.to_owned(),
        points: u64::from(!lines.is_empty()),
        refused,
        ..Prepared::default()
    };
    let refused = |id: u8, reason| Prepared {
        refused_whole: Some(reason),
        ..prepared(id, "", vec![(reason, 0)])
    };
    // The first one makes the log.
    store.admit(&[prepared(1, "m,session=s n=1i 1", vec![])]).unwrap();
    let mut before = commits(&folder);
    for (what, parcel) in [
        ("stored", prepared(2, "m,session=s n=2i 2", vec![])),
        ("chaff", prepared(3, "", vec![])),
        ("refused by the schema", prepared(4, "", vec![("tag", 3)])),
        ("a second session on its circuit", refused(5, "second_session_on_circuit")),
        ("chaff of a session without a place", refused(6, "new_session")),
        ("known, stored", prepared(2, "m,session=s n=2i 2", vec![])),
        ("known, chaff", prepared(3, "", vec![])),
    ] {
        store.admit(&[parcel]).unwrap();
        let after = commits(&folder);
        assert_eq!(after - before, 1, "commits for what is {what}");
        before = after;
    }
}
