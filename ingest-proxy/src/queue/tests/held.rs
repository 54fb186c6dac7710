//! What is held: bounded, and gone when it is deleted.

use super::*;

/// A parcel of a session, of which all points are held.
fn held(number: u8, session: &str, text: &str) -> Admission {
    let point = Point::new("m").tag("session", session).field("text", text).at(number.into());
    let hold = [Hold { point: 0, reason: "too_many" }];
    let judge = Judge {
        session: session.to_owned(),
        judge: Arc::new(move || hold.to_vec()),
        forget: Arc::new(|| {}),
    };
    Admission {
        parcel_id: [number; 16],
        points: vec![point],
        judge: Some(judge),
        ..Admission::default()
    }
}

#[tokio::test]
async fn d4_what_is_held_is_bounded_and_the_oldest_is_dropped() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let limits = QueueLimits { held_bytes: 1_000, ..QueueLimits::default() };
    let queue = open(&folder, limits.clone(), &clock);
    for number in 1..=20 {
        queue.admit(held(number, "s", &"x".repeat(100))).await.unwrap();
    }
    let stats = queue.stats();
    assert!(stats.held_bytes <= 1_000 && stats.held_points > 3, "{stats:?}");
    assert_eq!(stats.held_points + stats.held_in_all().dropped, stats.held_in_all().held);
    let kept = queue.held("s", 100).await.unwrap();
    assert_eq!(kept.len() as u64, stats.held_points);
    assert!(kept[0].lines.ends_with(" 20\n"), "the latest is kept: {}", kept[0].lines);
    queue.close().await.unwrap();
    let queue = open(&folder, limits.clone(), &clock);
    let before = (stats.suspects, stats.held_points, stats.held_bytes);
    let stats = queue.stats();
    assert_eq!((stats.suspects, stats.held_points, stats.held_bytes), before, "after a restart");
    clock.advance(limits.age + Duration::from_secs(60));
    queue.maintain().await.unwrap();
    let stats = queue.stats();
    assert_eq!((stats.suspects, stats.held_points, stats.held_bytes), (0, 0, 0), "too old");
    assert_eq!(stats.held_in_all().dropped, 20);
}

#[tokio::test]
async fn s7_what_is_held_and_deleted_is_gone_from_the_disk() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.admit(held(1, "s", &"NEEDLE".repeat(2_000))).await.unwrap();
    let holds_needle = || {
        fs::read_dir(folder.path()).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"NEEDLE")
        })
    };
    assert!(holds_needle());
    assert_eq!(queue.delete_held("s").await.unwrap(), Some(1));
    assert!(!holds_needle());
    assert_eq!(queue.stats().suspects, 1, "it stays flagged");
    assert_eq!(queue.delete_held("other").await.unwrap(), None);
}

#[tokio::test]
async fn d3_a_release_is_done_or_not_begun_after_a_power_cut() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.register_sinks(&["a"]).await.unwrap();
    queue.admit(held(1, "s", "x")).await.unwrap();
    let before = after_a_power_cut(&folder);
    assert_eq!(queue.release("s").await.unwrap(), Some(1));
    for (folder, held) in [(before, 1), (after_a_power_cut(&folder), 0)] {
        let queue = open(&folder, QueueLimits::default(), &clock);
        assert_eq!(queue.stats().held_points, held);
        assert_eq!(waiting(&queue, "a").await.len() as u64, 1 - held, "never in both places");
    }
}

#[tokio::test]
async fn what_was_judged_is_forgotten_when_its_commit_fails() {
    let (folder, clock) = (TempDir::new().unwrap(), TestClock::new());
    let queue = open(&folder, QueueLimits::default(), &clock);
    queue.close().await.unwrap();
    let file = rusqlite::Connection::open(folder.path().join("queue.sqlite3")).unwrap();
    file.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON parcel BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();
    drop(file);
    let queue = open(&folder, QueueLimits::default(), &clock);
    let forgotten = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&forgotten);
    let judge = Judge {
        session: "s".to_owned(),
        judge: Arc::new(Vec::new),
        forget: Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    };
    let admission = Admission { judge: Some(judge), ..parcel(1) };
    assert!(queue.admit(admission).await.is_err());
    assert_eq!(forgotten.load(Ordering::SeqCst), 1);
}
