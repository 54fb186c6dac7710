//! Whether a parcel is taken, and what of it is stored.
//!
//! Cheapest checks first: length, version, padding, signature, encoding, schema. What is signed and
//! well formed gets one answer, after one commit, whatever the schema says of it (invariants P8,
//! D1). Points are read, checked and written anew, with the session's tag from the verified key and
//! a time from our own clock (S3, P6).

mod counts;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Semaphore;
use undertone_wire::{
    Point,
    batch::DecodeError,
    endpoint::DeploymentId,
    parcel::{self, Age, Unsealed},
    schema::{Refusal, SESSION_TAG},
    session::SessionId,
};

pub(crate) use self::counts::{Counts, Excess};
use crate::{
    config::{Limits, count},
    front::Circuit,
    queue::{self, Queue},
    schemas::{CurrentSchemas, Schemas},
};

/// A point can't claim to be older than the oldest parcel.
const OLDEST_POINT: Duration = Duration::from_secs(48 * 3_600);
/// How far the clock of a machine of one's own may be ahead.
const NEWEST_POINT: Duration = Duration::from_secs(600);

/// What a client is told, and all it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Stored, or refused by policy, or known already: drop it.
    Taken,
    /// Not a parcel for this deployment: drop it.
    Malformed,
    /// Can't be stored now: keep it.
    Undecided,
}

/// Decides about parcels and puts what is admitted into the queue.
#[derive(Debug)]
pub(crate) struct Admission {
    deployment: DeploymentId,
    schemas: CurrentSchemas,
    queue: Queue,
    limits: Arc<Limits>,
    /// Batches that are decoded and not yet committed: what memory they may take.
    batches: Semaphore,
    counts: Counts,
}

impl Admission {
    pub(crate) fn new(
        deployment: DeploymentId,
        schemas: CurrentSchemas,
        queue: Queue,
        limits: Arc<Limits>,
    ) -> Self {
        let batches = Semaphore::new(count(limits.batches));
        Self { deployment, schemas, queue, limits, batches, counts: Counts::default() }
    }

    /// Decides about one request body. What costs more comes later: bytes, signature, text, points, disk.
    pub(crate) async fn admit(&self, body: &[u8], circuit: &Arc<Circuit>) -> Verdict {
        let Ok(unsealed) = parcel::unseal(body, &self.deployment) else {
            self.counts.count_malformed();
            return Verdict::Malformed;
        };
        // Held until the commit: this many batches are in memory, however many wait here.
        let Ok(_place) = self.batches.acquire().await else { return Verdict::Undecided };
        let Ok(points) = self.decode(&unsealed) else {
            self.counts.count_malformed();
            return Verdict::Malformed;
        };
        let admission = match points {
            Some(points) if circuit.belongs_to(unsealed.session) => {
                self.check(&unsealed, points, SystemTime::now())
            }
            Some(points) => refused_whole(&unsealed, "second_session_on_circuit", points.len()),
            None => refused_whole(&unsealed, "batch_bytes", 0),
        };
        match self.queue.admit(admission).await {
            Ok(_) => Verdict::Taken,
            // The queue has logged why.
            Err(_) => {
                self.counts.count_undecided();
                Verdict::Undecided
            }
        }
    }

    /// What no commit holds.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The points of a parcel; none if they would take more room than is given to them.
    fn decode(&self, unsealed: &Unsealed) -> Result<Option<Vec<Point>>, DecodeError> {
        let length = unsealed.payload.decoded_length();
        if length.is_some_and(|length| length > self.limits.batch_bytes) {
            return Ok(None);
        }
        unsealed.payload.decode().map(Some)
    }

    /// What is stored of a verified parcel.
    fn check(&self, unsealed: &Unsealed, points: Vec<Point>, now: SystemTime) -> queue::Admission {
        let (session, schemas) = (unsealed.session.id(), self.schemas.now());
        let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut admitted = Vec::with_capacity(points.len());
        let excess = points.len().saturating_sub(count(self.limits.batch_points));
        if excess > 0 {
            refused.insert("batch_points", excess as u64);
        }
        for point in points.into_iter().take(count(self.limits.batch_points)) {
            match read(point, &schemas, session, unsealed.age, now) {
                Ok(point) => admitted.push(point),
                Err(reason) => *refused.entry(reason).or_default() += 1,
            }
        }
        queue::Admission {
            parcel_id: unsealed.id.0,
            points: admitted,
            refused: refused.into_iter().collect(),
        }
    }
}

/// Nothing is stored of a parcel but its ID and how many points it had.
fn refused_whole(unsealed: &Unsealed, reason: &'static str, points: usize) -> queue::Admission {
    let refused = vec![(reason, points as u64)];
    queue::Admission { parcel_id: unsealed.id.0, points: Vec::new(), refused }
}

/// Reads a point as its schema declares it and writes it anew; else the reason it is refused for.
fn read(
    point: Point,
    schemas: &Schemas,
    session: SessionId,
    age: Age,
    now: SystemTime,
) -> Result<Point, &'static str> {
    let Some(schema) = schemas.of(&point.measurement) else {
        return read_open(point, schemas, session, now);
    };
    let reading = schema.read(&point).map_err(reason)?;
    let intervals = point.timestamp.and_then(|intervals| u32::try_from(intervals).ok());
    let before = intervals
        .and_then(|intervals| schema.interval().checked_mul(intervals))
        .and_then(|before| before.checked_add(Age::UNIT * u32::from(age.0)))
        .filter(|before| *before <= OLDEST_POINT)
        .ok_or("time")?;
    let time = now
        .checked_sub(before)
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|time| i64::try_from(time.as_nanos()).ok())
        .ok_or("time")?;
    let mut tags = point.tags;
    tags.insert(SESSION_TAG.into(), session.to_string().into());
    Ok(Point {
        measurement: point.measurement,
        tags,
        fields: reading.database_fields(),
        timestamp: Some(time),
    })
}

/// Reads a point that nobody declared, where there is a schema that is open to such: it keeps its own
/// time.
fn read_open(
    point: Point,
    schemas: &Schemas,
    session: SessionId,
    now: SystemTime,
) -> Result<Point, &'static str> {
    let schema = schemas.open().filter(|_| !schemas.claims(&point.measurement));
    let schema = schema.ok_or("measurement")?;
    schema.check_open(&point).map_err(reason)?;
    let time = point.timestamp.and_then(|time| u64::try_from(time).ok()).ok_or("time")?;
    let time = UNIX_EPOCH + Duration::from_nanos(time);
    if time > now + NEWEST_POINT || time + OLDEST_POINT < now {
        return Err("time");
    }
    Ok(point.tag(SESSION_TAG, session.to_string()))
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Tag => "tag",
        Refusal::TagValue => "tag_value",
        Refusal::Fields => "fields",
        Refusal::Bucket => "bucket",
        Refusal::Range => "range",
        Refusal::Digits => "digits",
        Refusal::Time => "time",
        _ => "measurement",
    }
}

#[cfg(test)]
mod tests {
    use undertone_wire::{
        FieldValue,
        batch::Payload,
        parcel::{Parcel, ParcelId},
        schema::Schema,
        session::SessionKey,
    };

    use super::*;

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
            let admission =
                Admission::new(deployment, schemas.into(), queue.clone(), Arc::default());
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
        let (mut admitted, mut replayed) = (0, 0);
        for (what, parcel, known) in [
            ("stored", &stored, false),
            ("chaff", &fixture.parcel(2, &[]), false),
            ("refused by the schema", &fixture.parcel(3, &[secret]), false),
            ("a second session", &other.parcel(4, &[hits(1, 0)]), false),
            ("chaff of a second session", &other.parcel(5, &[]), false),
            ("known", &stored, true),
        ] {
            assert_eq!(fixture.send(parcel).await, Verdict::Taken, "{what}");
            admitted += u64::from(!known);
            replayed += u64::from(known);
            // Counted in its commit, which was before the answer.
            let stats = fixture.queue.stats();
            assert_eq!(
                (stats.admitted().parcels, stats.replayed()),
                (admitted, replayed),
                "{what}"
            );
        }
    }

    #[tokio::test]
    async fn p2_what_nobody_declared_is_taken_only_where_a_schema_is_open() {
        let mut fixture = Fixture::new().await;
        let now = SystemTime::now();
        let at = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
        let load =
            |time| Point::new("system").tag("host", "attic").field("load1", 0.5).at(at(time));
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
        let checked = fixture.admission.check(&unsealed.unwrap(), vec![hits(1, 3)], now);
        assert_eq!(
            checked.points[0].timestamp,
            Some((1_000_000 - 2 * 600 - 3 * 10) * 1_000_000_000)
        );
    }
}
