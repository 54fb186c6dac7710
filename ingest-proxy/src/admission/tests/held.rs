//! What can't be true is held, and nobody is told.

use super::*;
use crate::queue::{Holding, QueueLimits};

impl Fixture {
    /// The same with another rule, whose files are those of before.
    async fn with_action(action: Holding) -> Self {
        let mut fixture = Self::new().await;
        let limits = QueueLimits { holding: action, ..QueueLimits::default() };
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), limits).unwrap();
        queue.register_sinks(&["main"]).await.unwrap();
        let rules = FalseData { action, ..FalseData::default() };
        let schemas = (*fixture.admission.schemas.now()).clone();
        let deployment = fixture.admission.deployment;
        let admission =
            Admission::open(deployment, schemas.into(), queue.clone(), Arc::default(), rules);
        fixture.admission = admission.await.unwrap();
        (fixture.queue, fixture._folder) = (queue, folder);
        fixture
    }

    async fn sums(&self) -> Vec<i64> {
        let delta = |point: &Point| match point.fields[&"delta".into()] {
            FieldValue::Integer(delta) => delta,
            _ => 0,
        };
        self.stored().await.iter().map(delta).collect()
    }
}

fn count(count: i64, delta: i64, intervals: i64) -> Point {
    Point::new("app.hits.count").field("count", count).field("delta", delta).at(intervals)
}

/// More than ever can happen in ten seconds.
fn impossible() -> [Point; 2] {
    [count(0, 0, 1), count(90_000_000_000_000, 90_000_000_000_000, 0)]
}

#[tokio::test]
async fn s3_an_impossible_delta_is_held_and_flags_its_session() {
    let mut fixture = Fixture::new().await;
    let honest = SessionKey::from_seed(&[2; 32]);
    assert_eq!(fixture.send(&fixture.parcel(1, &[count(3, 3, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.send(&fixture.parcel(2, &impossible())).await, Verdict::Taken);
    assert_eq!(fixture.send(&fixture.parcel(3, &[count(4, 1, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.sums().await, [3], "nothing of a session that is flagged");
    let session = fixture.session.id().to_string();
    fixture.session = honest;
    fixture.circuit = Arc::default();
    assert_eq!(fixture.send(&fixture.parcel(4, &[count(5, 5, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.sums().await, [3, 5], "others are not disturbed");
    let suspects = fixture.queue.suspects(10).await.unwrap();
    let [suspect] = suspects.as_slice() else { panic!("{suspects:?}") };
    assert_eq!((&suspect.session, suspect.held_points), (&session, 3));
    assert_eq!(suspect.reasons, [("flagged".to_owned(), 2), ("too_many".to_owned(), 1)]);
    let stats = fixture.queue.stats();
    assert_eq!((stats.admitted().parcels, stats.admitted().points), (4, 2));
    assert_eq!((stats.suspects, stats.held_points, stats.flagged()), (1, 3, 1));
    assert_eq!(stats.held().collect::<Vec<_>>(), [("flagged", 2), ("too_many", 1)]);
    // A replay changes nothing here, either.
    fixture.session = SessionKey::from_seed(&[1; 32]);
    fixture.circuit = Arc::default();
    assert_eq!(fixture.send(&fixture.parcel(2, &impossible())).await, Verdict::Taken);
    assert_eq!(fixture.queue.stats().held_points, 3);
}

#[tokio::test]
async fn s3_where_points_alone_are_held_the_rest_is_stored() {
    let fixture = Fixture::with_action(Holding::Point).await;
    assert_eq!(fixture.send(&fixture.parcel(2, &impossible())).await, Verdict::Taken);
    assert_eq!(fixture.send(&fixture.parcel(3, &[count(0, 1, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.sums().await, [0, 1]);
    assert_eq!(fixture.queue.stats().held_points, 1);
    let fixture = Fixture::with_action(Holding::Off).await;
    assert_eq!(fixture.send(&fixture.parcel(2, &impossible())).await, Verdict::Taken);
    assert_eq!(fixture.sums().await.len(), 2);
}

#[tokio::test]
async fn s3_a_replay_counts_once_for_what_can_have_happened() {
    let fixture = Fixture::new().await;
    // Three hours' worth, of the six that a first point may speak for.
    let much = 10_800_000_000_000_000;
    let parcel = fixture.parcel(1, &[count(much, much, 0)]);
    for _ in 0..5 {
        assert_eq!(fixture.send(&parcel).await, Verdict::Taken);
    }
    assert_eq!(fixture.send(&fixture.parcel(2, &[count(much, 1, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.queue.stats().suspects, 0);
}

#[tokio::test]
async fn d3_what_is_released_enters_the_queue_once_and_as_it_was() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.send(&fixture.parcel(2, &impossible())).await, Verdict::Taken);
    let session = fixture.session.id().to_string();
    let held = fixture.queue.held(&session, 10).await.unwrap();
    let mut lines: Vec<String> =
        held.iter().flat_map(|held| held.lines.lines().map(str::to_owned)).collect();
    assert_eq!(fixture.queue.release(&session).await.unwrap(), Some(2));
    assert_eq!(fixture.queue.release(&session).await.unwrap(), None, "not flagged any more");
    let mut stored: Vec<String> = Vec::new();
    for point in fixture.stored().await {
        let mut line = String::new();
        undertone_wire::line_protocol::write(&point, &mut line).unwrap();
        stored.push(line.trim_end().to_owned());
    }
    lines.sort();
    stored.sort();
    assert_eq!(stored, lines);
    let stats = fixture.queue.stats();
    assert_eq!((stats.suspects, stats.held_points, stats.held_bytes), (0, 0, 0));
    assert_eq!((stats.admitted().points, stats.waiting_parcels), (2, 2));
}
