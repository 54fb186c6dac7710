//! The durable queue between the answer to an agent and the sinks.
//!
//! Invariants: an answer comes after the commit that holds the parcel (D1); a parcel ID is admitted
//! once within its retention (D2); what waits is bounded in bytes and age, the oldest is dropped
//! first and each drop is counted by its reason (D4). Every sink has a position of its own; a
//! parcel is deleted when all of them have passed it. One thread owns the file and commits
//! all that waits for it at once. The queue doesn't judge points: what comes in was admitted.

mod commit;
mod quarantine;
mod stats;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot, watch};
use undertone_storage::{StorageError, StorageErrorKind, WallClock};
use undertone_wire::Point;

use crate::lines;

use commit::{Command, Reply, Request};
pub use quarantine::{Kept, Which};
pub use stats::{QueueStats, Tally};
use store::{Prepared, Store};

/// What bounds a [`Queue`].
#[derive(Debug, Clone)]
pub struct QueueLimits {
    /// Bytes of waiting points, as line protocol, with 64 bytes added for each parcel.
    pub bytes: u64,
    /// How long a parcel may wait for its sinks.
    pub age: Duration,
    /// How long a parcel ID is remembered.
    pub remember: Duration,
    /// How many parcel IDs are remembered at most; beyond it the oldest are forgotten early.
    pub remember_ids: u64,
    /// How many sessions are remembered at most; of more, those that were not heard of for longest are
    /// forgotten.
    pub sessions: u64,
    /// How long a session is remembered after it was last heard of.
    pub session_age: Duration,
    /// Bytes of refused lines kept for the operator, also no longer than a parcel may wait.
    pub quarantine_bytes: u64,
    /// How many calls may wait for the disk at once; further ones wait to be let in.
    pub calls: usize,
}

impl Default for QueueLimits {
    /// 1 GiB, 7 days; 10 million IDs for 48 hours; 30,000 sessions for as long; 16 MiB of refused lines; 1024 calls.
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            age: Duration::from_secs(7 * 24 * 3600),
            remember: Duration::from_secs(48 * 3600),
            remember_ids: 10_000_000,
            sessions: 30_000,
            session_age: Duration::from_secs(48 * 3600),
            quarantine_bytes: 16 << 20,
            calls: 1024,
        }
    }
}

/// A parcel as it is handed to the queue.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// What identifies the parcel over all its retries.
    pub parcel_id: [u8; 16],
    /// Its points, each with its time in nanoseconds since 1970, fixed now. Empty for chaff and
    /// for what was refused.
    pub points: Vec<Point>,
    /// Counts to add in the same commit, by reason: what of the parcel was refused. A replay adds
    /// nothing.
    pub refused: Vec<(&'static str, u64)>,
    /// Whose points they are: of a full queue, the oldest parcel of whoever has most in it is dropped.
    pub session: Option<[u8; 16]>,
    /// Why nothing of it is stored, neither points nor its ID; it is counted by this reason.
    pub refused_whole: Option<&'static str>,
    /// What is to be remembered of sessions, in the same commit.
    pub sessions: Vec<SessionRecord>,
}

/// What is remembered of a session over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its ID.
    pub id: [u8; 16],
    /// For how long it has been known, in seconds.
    pub known_seconds: u64,
    /// How long it was not heard of, in seconds.
    pub unseen_seconds: u64,
    /// Its series, each as a hash.
    pub series: Vec<u64>,
}

/// What became of an [`Admission`]. The agent gets the same answer to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It is stored.
    New,
    /// A parcel of this ID was stored before; nothing was changed.
    Replayed,
    /// Nothing of it was stored, as was asked for.
    Refused,
}

/// Points of consecutive parcels, read for a sink.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointBatch {
    /// The points, oldest parcel first.
    pub points: Vec<Point>,
    /// The place of the last parcel, to be passed to [`Queue::advance`]; `None`: nothing waits.
    pub through: Option<i64>,
    /// How many stored lines could not be read back: the file is damaged.
    pub unreadable: u64,
}

/// A line that a sink refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The sink that refused it.
    pub sink: String,
    /// Why, in the sink's words. For the operator only.
    pub reason: String,
    /// The line.
    pub line: String,
}

/// A handle to the queue; clones share it.
///
/// When the last handle is dropped, the thread finishes what it was asked for and closes the file;
/// [`Queue::close`] waits for that.
#[derive(Clone)]
pub struct Queue {
    calls: Arc<Semaphore>,
    requests: mpsc::Sender<Request>,
    stats: Arc<Mutex<QueueStats>>,
    newest: watch::Receiver<i64>,
    remember_ids: u64,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Queue {
    /// Opens `queue.sqlite3` in `data_dir`, or creates it. Blocks while the file is checked.
    ///
    /// A corrupt file is set aside as `queue.sqlite3.corrupt-<unix time>`.
    ///
    /// # Errors
    /// If the disk refuses, another process has the queue open, or a newer version wrote it.
    pub fn open(data_dir: &Path, limits: QueueLimits) -> Result<Self, StorageError> {
        let (wall, steady) = (SystemTime::now(), Instant::now());
        Self::open_with_clock(data_dir, limits, Arc::new(move || wall + steady.elapsed()))
    }

    /// Like [`Queue::open`], with another clock; how far it goes on is what ages what is in the queue.
    ///
    /// # Errors
    /// As for [`Queue::open`].
    pub fn open_with_clock(
        data_dir: &Path,
        limits: QueueLimits,
        clock: WallClock,
    ) -> Result<Self, StorageError> {
        Self::over(Store::open(data_dir, limits, clock)?)
    }

    fn over(store: Store) -> Result<Self, StorageError> {
        let remember_ids = store.limits().remember_ids;
        let calls = Arc::new(Semaphore::new(store.limits().calls.max(1)));
        let stats = Arc::new(Mutex::new(store.stats().clone()));
        let (announce, newest) = watch::channel(store.stats().newest);
        let (requests, inbox) = mpsc::channel();
        let shared = Arc::clone(&stats);
        std::thread::Builder::new()
            .name("undertone-queue".to_owned())
            .spawn(move || commit::run(store, &inbox, &shared, &announce))
            .map_err(|source| {
                StorageError::new(StorageErrorKind::Io, "cannot start the queue's thread")
                    .with_source(source)
            })?;
        Ok(Self { calls, requests, stats, newest, remember_ids })
    }

    /// Stores a parcel. Returns after the commit that holds it.
    ///
    /// Dropping the future doesn't take the parcel back.
    ///
    /// # Errors
    /// If the commit failed: nothing is stored, and the same ID may be admitted later. If a point
    /// has no timestamp or can't be written as line protocol.
    pub async fn admit(&self, admission: Admission) -> Result<Admitted, StorageError> {
        // Whoever waits for the disk keeps the lines alone.
        let prepared = Prepared {
            parcel_id: admission.parcel_id,
            lines: lines::encode(&admission.points)?,
            points: admission.points.len() as u64,
            refused: admission.refused,
            session: admission.session,
            refused_whole: admission.refused_whole,
            sessions: admission.sessions,
        };
        drop(admission.points);
        self.ask(|reply| Command::Admit(prepared, reply)).await
    }

    /// Says which sinks there are. Nothing is deleted as written before this is known.
    ///
    /// A new one starts with the oldest parcel that waits; the position of one that is no longer
    /// named is forgotten.
    ///
    /// # Errors
    /// If the commit failed.
    pub async fn register_sinks(&self, names: &[&str]) -> Result<(), StorageError> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.ask(|reply| Command::Register(names, reply)).await
    }

    /// Reads what waits for a sink, in order: whole parcels of together about `points` points, at
    /// least one parcel.
    ///
    /// # Errors
    /// If the file can't be read, or the sink is not registered.
    pub async fn read(&self, sink: &str, points: usize) -> Result<PointBatch, StorageError> {
        let sink = sink.to_owned();
        let stored = self.ask(|reply| Command::Read { sink, points, reply }).await?;
        let decoded = lines::decode(&stored.lines);
        Ok(PointBatch {
            points: decoded.points,
            through: stored.through,
            unreadable: decoded.unreadable,
        })
    }

    /// Moves a sink's position behind `through`, keeps the lines that it refused, and deletes what
    /// every sink has passed; all in one commit.
    ///
    /// # Errors
    /// If the commit failed, or the sink is not registered.
    pub async fn advance(
        &self,
        sink: &str,
        through: i64,
        refused: Vec<Quarantined>,
    ) -> Result<(), StorageError> {
        let sink = sink.to_owned();
        self.ask(|reply| Command::Advance { sink, through, refused, reply }).await
    }

    /// The latest lines that sinks refused, newest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, StorageError> {
        self.ask(|reply| Command::Quarantined(limit, reply)).await
    }

    /// How many parcels wait for a sink, about: a parcel that was dropped between two that wait is
    /// counted too.
    ///
    /// # Errors
    /// If the file can't be read, or the sink is not registered.
    pub async fn lag(&self, sink: &str) -> Result<u64, StorageError> {
        let sink = sink.to_owned();
        self.ask(|reply| Command::Lag(sink, reply)).await
    }

    /// What is remembered of sessions.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn sessions(&self) -> Result<Vec<SessionRecord>, StorageError> {
        self.ask(Command::Sessions).await
    }

    /// Drops what is too old and empties the log now. The thread does so itself about once a
    /// minute.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn maintain(&self) -> Result<(), StorageError> {
        self.ask(Command::Maintain).await
    }

    /// How many more parcel IDs can be remembered, as of the last commit.
    pub(crate) fn room_for_ids(&self) -> u64 {
        let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.remember_ids.saturating_sub(stats.remembered_ids)
    }

    /// What waits, and what was counted, as of the last commit.
    pub fn stats(&self) -> QueueStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever a parcel with points was committed.
    pub(crate) fn arrivals(&self) -> watch::Receiver<i64> {
        self.newest.clone()
    }

    /// Closes the file. Every later call, through any handle, fails as closed.
    ///
    /// # Errors
    /// If it was closed already, or the disk refuses.
    pub async fn close(self) -> Result<(), StorageError> {
        self.ask(Command::Close).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StorageError> {
        let permit =
            Arc::clone(&self.calls).acquire_owned().await.map_err(|_| StorageError::closed())?;
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::new(command(Reply(reply)), permit))
            .map_err(|_| StorageError::closed())?;
        answer.await.map_err(|_| StorageError::closed())?
    }
}
