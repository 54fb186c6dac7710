//! What becomes of parcels: stored, refused, known.

use undertone_wire::{
    FieldValue,
    batch::Payload,
    parcel::{Parcel, ParcelId},
    schema::Schema,
    session::SessionKey,
};

use super::*;

mod held;

struct Fixture {
    admission: Admission,
    queue: Queue,
    session: SessionKey,
    circuit: Arc<Circuit>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), queue::QueueLimits::default()).unwrap();
        queue.register_sinks(&["main"]).await.unwrap();
        let mut schemas = Schemas::default();
        schemas.insert(
            Schema::from_toml(
                "namespace = \"app\"\ninterval_seconds = 10\n[[measurement]]\n\
                 name = \"hits\"\nkind = \"counter\"\ndescription = \"Hits.\"\n",
            )
            .unwrap(),
        );
        let deployment = DeploymentId::from([9; 32]);
        let admission = Admission::open(
            deployment,
            schemas.into(),
            queue.clone(),
            Arc::default(),
            FalseData::default(),
        );
        let admission = admission.await.unwrap();
        let session = SessionKey::from_seed(&[1; 32]);
        Self { admission, queue, session, circuit: Arc::default(), _folder: folder }
    }

    fn parcel(&self, id: u8, points: &[Point]) -> Parcel {
        let payload = Payload::encode(points).unwrap();
        let deployment = self.admission.deployment;
        Parcel::seal(&self.session, ParcelId([id; 16]), &deployment, &payload)
    }

    async fn send(&self, parcel: &Parcel) -> Verdict {
        self.admission.admit(&parcel.body(Age(0)), &self.circuit).await
    }

    async fn stored(&self) -> Vec<Point> {
        self.queue.read("main", 1_000).await.unwrap().points
    }
}

fn hits(delta: i64, intervals: i64) -> Point {
    Point::new("app.hits.count").field("count", 10_i64).field("delta", delta).at(intervals)
}

#[tokio::test]
async fn s3_a_point_is_stored_under_the_session_of_its_key() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.send(&fixture.parcel(1, &[hits(3, 0)])).await, Verdict::Taken);
    let stored = fixture.stored().await;
    assert_eq!(stored[0].tags[&"session".into()], fixture.session.id().to_string());
    assert_eq!(stored[0].fields[&"delta".into()], FieldValue::Integer(3));
}

#[tokio::test]
async fn s3_nobody_writes_the_session_tag_but_the_proxy() {
    let fixture = Fixture::new().await;
    let forged = hits(3, 0).tag("session", "somebody-else");
    assert_eq!(fixture.send(&fixture.parcel(1, &[forged])).await, Verdict::Taken);
    assert_eq!(fixture.stored().await, []);
}

#[tokio::test]
async fn p8_what_policy_refuses_is_answered_like_what_it_takes() {
    let fixture = Fixture::new().await;
    let secret = Point::new("app.secret.count").field("count", 1_i64).at(0);
    let mixed = fixture.parcel(1, &[hits(1, 0), secret, hits(1, i64::from(u32::MAX))]);
    assert_eq!(fixture.send(&mixed).await, Verdict::Taken);
    assert_eq!(fixture.send(&fixture.parcel(2, &[])).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 1);
    let stats = fixture.queue.stats();
    let refused: Vec<(&str, u64)> = stats.refused().collect();
    assert_eq!(refused, [("measurement", 1), ("time", 1)]);
}

#[tokio::test]
async fn p8_whatever_a_parcel_holds_its_answer_waits_for_the_queue() {
    let fixture = Fixture::new().await;
    let secret = Point::new("app.secret.count").field("count", 1_i64).at(0);
    let stored = fixture.parcel(1, &[hits(1, 0)]);
    let other = Fixture { session: SessionKey::from_seed(&[2; 32]), ..Fixture::new().await };
    let mut counts = [0; 3];
    for (what, parcel, counted) in [
        ("stored", &stored, 0),
        ("chaff", &fixture.parcel(2, &[]), 0),
        ("refused by the schema", &fixture.parcel(3, &[secret]), 0),
        ("a second session", &other.parcel(4, &[hits(1, 0)]), 2),
        ("chaff of a second session", &other.parcel(5, &[]), 2),
        ("known", &stored, 1),
    ] {
        assert_eq!(fixture.send(parcel).await, Verdict::Taken, "{what}");
        counts[counted] += 1;
        // Counted in its commit, which was before the answer.
        let stats = fixture.queue.stats();
        let refused = stats.refused_parcels().map(|(_, count)| count).sum();
        assert_eq!([stats.admitted().parcels, stats.replayed(), refused], counts, "{what}");
    }
}

#[tokio::test]
async fn p2_what_nobody_declared_is_taken_only_where_a_schema_is_open() {
    let mut fixture = Fixture::new().await;
    let now = SystemTime::now();
    let at = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let load = |time| Point::new("system").tag("host", "attic").field("load1", 0.5).at(at(time));
    let hour = Duration::from_secs(3_600);
    let points = [load(now), load(now + hour), load(now - 49 * hour), hits(1, 0)];
    assert_eq!(fixture.send(&fixture.parcel(1, &points)).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 1);
    let mut schemas = (*fixture.admission.schemas.now()).clone();
    schemas.insert(Schema::open("fleet").unwrap());
    fixture.admission.schemas = schemas.into();
    assert_eq!(fixture.send(&fixture.parcel(2, &points)).await, Verdict::Taken);
    let stored = fixture.stored().await;
    assert_eq!(stored[1], load(now).tag("session", fixture.session.id().to_string()));
    assert_eq!(stored.len(), 3, "the declared twice, the undeclared once");
    let foreign = Point::new("app.other.gauge").field("value", 1.0).at(at(now));
    assert_eq!(fixture.send(&fixture.parcel(3, &[foreign])).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 3, "a closed namespace is closed");
    let stats = fixture.queue.stats();
    let refused: Vec<(&str, u64)> = stats.refused().collect();
    assert_eq!(refused, [("measurement", 4), ("time", 2)]);
}

#[tokio::test]
async fn p11_what_is_finer_than_declared_is_refused() {
    let mut fixture = Fixture::new().await;
    let schema = Schema::from_toml(
        "namespace = \"app\"\n[[measurement]]\nname = \"hits\"\nkind = \"counter\"\n\
         description = \"Hits.\"\n[[measurement]]\nname = \"load\"\nkind = \"gauge-float\"\n\
         description = \"Load.\"\nrange = [0, 10]\nlinkable = true\n",
    );
    let mut schemas = Schemas::default();
    schemas.insert(schema.unwrap());
    fixture.admission.schemas = schemas.into();
    let load = |value: f64| Point::new("app.load.gauge").field("value", value).at(0);
    let points = [hits(1_000, 0), hits(1_049, 0), load(0.12), load(0.125), load(11.0)];
    assert_eq!(fixture.send(&fixture.parcel(1, &points)).await, Verdict::Taken);
    let left = |point: &Point| point.fields.values().next_back().cloned();
    let stored: Vec<_> = fixture.stored().await.iter().filter_map(left).collect();
    assert_eq!(stored, [FieldValue::Integer(1_000), FieldValue::Float(0.12)]);
    let stats = fixture.queue.stats();
    let refused: Vec<(&str, u64)> = stats.refused().collect();
    assert_eq!(refused, [("digits", 2), ("range", 1)]);
}

#[tokio::test]
async fn s2_d2_a_flood_of_new_sessions_is_answered_alike_grows_nothing_and_forgets_nothing() {
    let limits = Limits { new_sessions_per_hour: 4, ..Limits::default() };
    let ids = queue::QueueLimits { remember_ids: 400, ..queue::QueueLimits::default() };
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path(), ids).unwrap();
    queue.register_sinks(&["main"]).await.unwrap();
    let mut fixture = Fixture::new().await;
    let schemas = fixture.admission.schemas.now();
    let open = |queue: &Queue| {
        let (deployment, queue) = (DeploymentId::from([9; 32]), queue.clone());
        Admission::open(
            deployment,
            (*schemas).clone().into(),
            queue,
            Arc::new(limits.clone()),
            FalseData::default(),
        )
    };
    (fixture.admission, fixture.queue) = (open(&queue).await.unwrap(), queue);
    let mut other = fixture.parcel(1, &[hits(1, 0)]);
    assert_eq!(fixture.send(&other).await, Verdict::Taken);
    let honest = std::mem::take(&mut fixture.circuit);
    for number in 2..50 {
        fixture.session = SessionKey::from_seed(&[number; 32]);
        fixture.circuit = Arc::default();
        let points = [hits(1, 0), hits(2, 1)];
        other = fixture.parcel(number, &points[..usize::from(number) % 3]);
        assert_eq!(fixture.send(&other).await, Verdict::Taken);
        if number == 25 {
            // Nothing is to be had by a restart.
            fixture.admission = open(&fixture.queue).await.unwrap();
        }
    }
    fixture.session = SessionKey::from_seed(&[1; 32]);
    fixture.circuit = honest;
    let replay = fixture.parcel(1, &[hits(1, 0)]);
    assert_eq!(fixture.send(&replay).await, Verdict::Taken);
    assert_eq!(fixture.send(&fixture.parcel(100, &[hits(5, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 2, "of the known session alone");
    let stats = fixture.queue.stats();
    assert_eq!((stats.remembered_ids, stats.forgotten_early(), stats.replayed()), (2, 0, 1));
    assert_eq!(stats.refused_parcels().collect::<Vec<_>>(), [("new_session", 48)]);
    assert_eq!(stats.refused().collect::<Vec<_>>(), [("new_session", 48)]);
}

#[tokio::test]
async fn s2_an_open_schema_has_no_more_series_than_the_limits() {
    let mut fixture = Fixture::new().await;
    let limits = Limits { series_per_session: 3, ..Limits::default() };
    let mut schemas = Schemas::default();
    schemas.insert(Schema::open("fleet").unwrap());
    let (deployment, queue) = (fixture.admission.deployment, fixture.queue.clone());
    let admission =
        Admission::open(deployment, schemas.into(), queue, Arc::new(limits), FalseData::default());
    fixture.admission = admission.await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let load = |host: &str| Point::new("system").tag("host", host).field("load1", 0.5).at(now);
    let points = ["a", "b", "c", "d", "e", "a"].map(load);
    assert_eq!(fixture.send(&fixture.parcel(1, &points)).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 4);
    let stats = fixture.queue.stats();
    assert_eq!(stats.refused().collect::<Vec<_>>(), [("session_series", 2)]);
}

#[tokio::test]
async fn s2_what_a_batch_may_be_is_bounded_and_not_told() {
    let mut fixture = Fixture::new().await;
    fixture.admission.limits =
        Arc::new(Limits { batch_points: 2, batch_bytes: 1_024, ..Limits::default() });
    let three = [hits(1, 0), hits(1, 1), hits(1, 2)];
    assert_eq!(fixture.send(&fixture.parcel(1, &three)).await, Verdict::Taken);
    let many = vec![hits(1, 3); 50];
    assert_eq!(fixture.send(&fixture.parcel(2, &many)).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 2);
    let stats = fixture.queue.stats();
    assert_eq!(stats.refused().collect::<Vec<_>>(), [("batch_points", 1)]);
}

#[tokio::test]
async fn d2_a_replay_gets_the_same_answer_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let parcel = fixture.parcel(1, &[hits(3, 0)]);
    assert_eq!(fixture.send(&parcel).await, Verdict::Taken);
    assert_eq!(fixture.send(&parcel).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn p7_a_second_session_on_a_circuit_is_refused_and_not_told() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.send(&fixture.parcel(1, &[hits(1, 0)])).await, Verdict::Taken);
    fixture.session = SessionKey::from_seed(&[2; 32]);
    assert_eq!(fixture.send(&fixture.parcel(2, &[hits(1, 0)])).await, Verdict::Taken);
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn a_parcel_of_another_deployment_is_malformed() {
    let fixture = Fixture::new().await;
    let payload = Payload::encode(&[hits(1, 0)]).unwrap();
    let other = DeploymentId::from([8; 32]);
    let parcel = Parcel::seal(&fixture.session, ParcelId([1; 16]), &other, &payload);
    assert_eq!(fixture.send(&parcel).await, Verdict::Malformed);
    assert_eq!(fixture.admission.counts().malformed(), 1);
}

#[tokio::test]
async fn p6_times_come_from_our_clock_by_interval_and_age() {
    let fixture = Fixture::new().await;
    let unsealed =
        parcel::unseal(&fixture.parcel(1, &[]).body(Age(2)), &fixture.admission.deployment);
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (checked, _) = fixture.admission.check(&unsealed.unwrap(), vec![hits(1, 3)], now);
    assert_eq!(checked.points[0].timestamp, Some((1_000_000 - 2 * 600 - 3 * 10) * 1_000_000_000));
}
