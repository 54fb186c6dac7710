//! Whether a parcel is taken, and what of it is stored.
//!
//! Cheapest checks first: length, version, padding, signature, encoding, schema. What is signed and
//! well formed gets one answer, after one commit, whatever the schema says of it (invariants P8,
//! D1). Points are read, checked and written anew, with the session's tag from the verified key and
//! a time from our own clock (S3, P6).

mod counts;
mod sessions;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Semaphore;
use undertone_storage::StorageError;
use undertone_wire::{
    Point,
    batch::DecodeError,
    endpoint::DeploymentId,
    parcel::{self, Age, Unsealed},
    schema::{Refusal, SESSION_TAG},
    session::SessionId,
};

use self::sessions::{BEGINNING, SeriesHash, SessionCounts, Sessions, TooMuch};
pub(crate) use self::{
    counts::{Counts, Excess},
    sessions::Ticket,
};
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
    sessions: Mutex<Sessions>,
    began: Instant,
    counts: Counts,
}

impl Admission {
    /// Goes on with the sessions that the queue's file remembers.
    ///
    /// # Errors
    /// If they can't be read.
    pub(crate) async fn open(
        deployment: DeploymentId,
        schemas: CurrentSchemas,
        queue: Queue,
        limits: Arc<Limits>,
    ) -> Result<Self, StorageError> {
        let batches = Semaphore::new(count(limits.batches));
        let sessions = Mutex::new(Sessions::new(Arc::clone(&limits), queue.sessions().await?));
        let (began, counts) = (Instant::now(), Counts::default());
        Ok(Self { deployment, schemas, queue, limits, batches, sessions, began, counts })
    }

    /// Decides about one request body. What costs more comes later: bytes, signature, text, points, disk.
    pub(crate) async fn admit(&self, body: &[u8], circuit: &Arc<Circuit>) -> Verdict {
        let Ok(unsealed) = parcel::unseal(body, &self.deployment) else {
            self.counts.count_malformed();
            return Verdict::Malformed;
        };
        let session = unsealed.session.id();
        if !self.sessions().may_ask(session, self.now()) {
            return self.too_much(Excess::Session);
        }
        // Held until the commit: this many batches are in memory, however many wait here.
        let Ok(_place) = self.batches.acquire().await else { return Verdict::Undecided };
        let Ok(points) = self.decode(&unsealed) else {
            self.counts.count_malformed();
            return Verdict::Malformed;
        };
        let admission = match points {
            None => refused_whole(&unsealed, "batch_bytes", 0),
            Some(points) if !circuit.belongs_to(unsealed.session) => {
                refused_whole(&unsealed, "second_session_on_circuit", points.len())
            }
            Some(points) if !self.sessions().has_place(session, circuit, self.now()) => {
                refused_whole(&unsealed, "new_session", points.len())
            }
            Some(points) => {
                let checked = self.check(&unsealed, points, SystemTime::now());
                match self.weigh(session, checked) {
                    Ok(admission) => admission,
                    Err(TooMuch::Points) => return self.too_much(Excess::SessionPoints),
                    Err(TooMuch::Parcels) => return self.too_much(Excess::SessionParcels),
                }
            }
        };
        self.commit(session, admission).await
    }

    /// Puts what was decided into the queue, with what is to be remembered of sessions.
    async fn commit(&self, session: SessionId, admission: queue::Admission) -> Verdict {
        let sessions = self.sessions().unwritten(session, self.now());
        let written: Vec<_> =
            sessions.iter().map(|record| (record.id.into(), record.series.len())).collect();
        match self.queue.admit(queue::Admission { sessions, ..admission }).await {
            Ok(_) => {
                self.sessions().written(&written, self.now());
                Verdict::Taken
            }
            // The queue has logged why.
            Err(_) => {
                self.counts.count_undecided();
                Verdict::Undecided
            }
        }
    }

    fn too_much(&self, excess: Excess) -> Verdict {
        self.counts.count_excess(excess);
        Verdict::Undecided
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A time that only goes on, for what is limited by time.
    fn now(&self) -> Duration {
        BEGINNING + self.began.elapsed()
    }

    /// How many sessions there are.
    pub(crate) fn session_counts(&self) -> SessionCounts {
        self.sessions().counts(self.now())
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
            session: Some(*session.as_bytes()),
            ..queue::Admission::default()
        }
    }

    /// Leaves out the points of series that the session may not have.
    fn weigh(
        &self,
        session: SessionId,
        mut admission: queue::Admission,
    ) -> Result<queue::Admission, TooMuch> {
        let series: Vec<SeriesHash> = admission.points.iter().map(SeriesHash::of).collect();
        let room = self.queue.room_for_ids();
        let verdicts = self.sessions().weigh(session, &series, room, self.now())?;
        let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut verdicts = verdicts.into_iter();
        admission.points.retain(|_| match verdicts.next() {
            Some(Err(reason)) => {
                *refused.entry(reason).or_default() += 1;
                false
            }
            _ => true,
        });
        admission.refused.extend(refused);
        Ok(admission)
    }
}

/// Nothing is stored of a parcel but how many points it had.
fn refused_whole(unsealed: &Unsealed, reason: &'static str, points: usize) -> queue::Admission {
    queue::Admission {
        parcel_id: unsealed.id.0,
        refused: vec![(reason, points as u64)],
        refused_whole: Some(reason),
        ..queue::Admission::default()
    }
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
