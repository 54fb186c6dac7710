//! What is kept from one start to the next, whatever the clock says.

use super::*;

#[tokio::test]
async fn d2_a_wall_clock_that_was_set_makes_nothing_forgotten_early() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let mut queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
    let year = Duration::from_secs(365 * 24 * 3600);
    for (set, clock) in [
        ("forward", clock.clone()),
        ("back", TestClock(Arc::new(AtomicU64::new(1_000_000)))),
        ("forward again", clock),
    ] {
        queue.close().await.unwrap();
        clock.advance(10 * year);
        queue = open(&folder, QueueLimits::default(), &clock);
        queue.maintain().await.unwrap();
        assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed, "set {set}");
        assert_eq!(waiting(&queue, "a").await, [100, 101], "set {set}");
        clock.advance(Duration::from_secs(15 * 3600));
    }
    // Three times 15 hours have passed, and now more than three.
    let later = TestClock::new();
    queue.close().await.unwrap();
    queue = open(&folder, QueueLimits::default(), &later);
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed);
    later.advance(Duration::from_secs(3 * 3600 + 1));
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New);
}

#[tokio::test]
async fn s2_sessions_are_remembered_over_restarts_in_bounded_rows() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let hour = Duration::from_secs(3600);
    let limits = QueueLimits { sessions: 2, session_age: 2 * hour, ..QueueLimits::default() };
    let queue = open(&folder, limits.clone(), &clock);
    let record = |id: u8, known_seconds, series: &[u64]| SessionRecord {
        id: [id; 16],
        known_seconds,
        unseen_seconds: 0,
        series: series.to_vec(),
    };
    for (number, session) in
        [record(1, 0, &[]), record(2, 60, &[u64::MAX]), record(3, 0, &[7]), record(3, 1, &[5, 7])]
            .into_iter()
            .enumerate()
    {
        let sessions = vec![session];
        queue.admit(Admission { sessions, ..parcel(number as u8) }).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    queue.maintain().await.unwrap();
    queue.close().await.unwrap();
    let queue = open(&folder, limits, &clock);
    let mut known = queue.sessions().await.unwrap();
    known.sort_by_key(|session| session.id);
    let (second, third) = (record(2, 63, &[u64::MAX]), record(3, 2, &[5, 7]));
    assert_eq!(
        known,
        [
            SessionRecord { unseen_seconds: 3, ..second },
            SessionRecord { unseen_seconds: 1, ..third.clone() }
        ]
    );
    clock.advance(2 * hour - Duration::from_secs(2));
    queue.maintain().await.unwrap();
    assert_eq!(queue.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_queue_of_the_first_version_goes_on() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let path = folder.path().join("queue.sqlite3");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(store::FORMAT.migrations[0]).unwrap();
    old.execute_batch(
        "INSERT INTO parcel (admitted_at, points, lines) VALUES (1799999000, 1, CAST('m n=1i 5' AS BLOB));
         INSERT INTO seen VALUES (x'01010101010101010101010101010101', 1799999000);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::Replayed);
    assert_eq!(waiting(&queue, "a").await, [5]);
    clock.advance(Duration::from_secs(48 * 3600 - 999));
    assert_eq!(queue.admit(parcel(1)).await.unwrap(), Admitted::New, "it ages as it did");
}
