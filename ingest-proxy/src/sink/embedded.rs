//! A store of our own: `store.sqlite3`, for who wants no database to look after.
//!
//! Its layout is public; the `sqlite3` program can query it while the proxy runs:
//! ```sql
//! SELECT session, sum(value) FROM point WHERE measurement = 'app.connections.count'
//!     AND field = 'delta' GROUP BY session;
//! SELECT tags ->> 'outcome', max(value) FROM point GROUP BY 1;
//! ```
//! Bounded in age and size; what is deleted is gone from the disk.

mod backup;
mod csv;
mod export;
mod retention;
mod selection;
mod store;
mod tags;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tokio::sync::oneshot;
use undertone_wire::Point;

use super::{Sink, SinkError, SinkErrorKind, SinkFuture};
pub use backup::backup;
pub use csv::csv;
pub(crate) use export::each_point;
pub use export::export;
pub use selection::Selection;
use store::Store;
use undertone_storage::{StorageError, StorageErrorKind, WallClock};

/// Opens the store in `data_dir` for reading only.
pub(crate) fn open_to_read(data_dir: &Path) -> Result<Connection, StorageError> {
    undertone_storage::open_to_read(&data_dir.join(store::FORMAT.name), &store::FORMAT)
}

/// What bounds an [`Embedded`] store.
#[derive(Debug, Clone)]
pub struct EmbeddedLimits {
    /// How old a sample may get, by its own time.
    pub age: Duration,
    /// How large the file may get. The write-ahead log beside it takes a few megabytes more.
    pub bytes: u64,
}

impl Default for EmbeddedLimits {
    /// 30 days, 1 GiB.
    fn default() -> Self {
        Self { age: Duration::from_secs(30 * 24 * 3600), bytes: 1 << 30 }
    }
}

/// What a store holds, and what it has deleted since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmbeddedStats {
    /// The file's size in bytes.
    pub bytes: u64,
    /// Samples (one field at one time) deleted because they were too old.
    pub deleted_old: u64,
    /// Samples deleted, oldest first, because the file was too large.
    pub deleted_full: u64,
}

/// A sink that keeps points in a file.
pub struct Embedded {
    jobs: mpsc::Sender<Job>,
    stats: Arc<Mutex<EmbeddedStats>>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// What the store's thread is asked to do; `None` to end.
type Job = Option<Box<dyn FnOnce(&mut Store) + Send>>;

impl Embedded {
    /// Opens `store.sqlite3` in `data_dir`, or creates it. Blocks while the file is checked.
    ///
    /// A corrupt file is set aside as `store.sqlite3.corrupt-<unix time>`.
    ///
    /// # Errors
    /// If the disk refuses, or a newer version wrote the file.
    pub fn open(data_dir: &Path, limits: EmbeddedLimits) -> Result<Self, StorageError> {
        Self::open_with_clock(data_dir, limits, Arc::new(SystemTime::now))
    }

    /// Like [`Embedded::open`], with another wall clock.
    ///
    /// # Errors
    /// As for [`Embedded::open`].
    pub fn open_with_clock(
        data_dir: &Path,
        limits: EmbeddedLimits,
        clock: WallClock,
    ) -> Result<Self, StorageError> {
        let mut store = Store::open(data_dir, limits, clock)?;
        store.maintain()?;
        let stats = Arc::new(Mutex::new(store.stats()));
        let shared = Arc::clone(&stats);
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("undertone-store".to_owned())
            .spawn(move || serve(store, &inbox, &shared))
            .map_err(|source| {
                StorageError::new(StorageErrorKind::Io, "cannot start the store's thread")
                    .with_source(source)
            })?;
        Ok(Self { jobs, stats })
    }

    /// What it holds, as of the last write.
    pub fn stats(&self) -> EmbeddedStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what is too old or too much, now. The store does so itself after each write and about
    /// once a minute.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn maintain(&self) -> Result<(), StorageError> {
        self.ask(Store::maintain).await
    }

    /// Closes the file. Later writes fail.
    ///
    /// # Errors
    /// If it was closed already, or the disk refuses.
    pub async fn close(&self) -> Result<(), StorageError> {
        let closed = self.ask(Store::finish).await;
        let _ = self.jobs.send(None);
        closed
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        let stats = Arc::clone(&self.stats);
        let job = move |store: &mut Store| {
            let outcome = work(store);
            publish(store, &stats);
            // Whoever asked may have stopped waiting; what was done stays done.
            let _ = reply.send(outcome);
        };
        self.jobs.send(Some(Box::new(job))).map_err(|_| StorageError::closed())?;
        answer.await.map_err(|_| StorageError::closed())?
    }
}

impl Sink for Embedded {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        let points = points.to_vec();
        Box::pin(async move {
            match self.ask(move |store| store.write(&points)).await {
                Ok(refused) if refused.is_empty() => Ok(()),
                Ok(refused) => Err(SinkError::new(
                    SinkErrorKind::LinesRefused(refused),
                    "some points can't be stored",
                )),
                Err(error) => {
                    let kind = if error.is_retryable() {
                        SinkErrorKind::RetryAfter(None)
                    } else {
                        SinkErrorKind::Fatal
                    };
                    Err(SinkError::new(kind, "the embedded store failed").with_source(error))
                }
            }
        })
    }
}

fn serve(mut store: Store, inbox: &mpsc::Receiver<Job>, stats: &Mutex<EmbeddedStats>) {
    let mut maintained = Instant::now();
    loop {
        match inbox.recv_timeout(MAINTAIN) {
            Ok(Some(job)) => job(&mut store),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let due = maintained.elapsed() >= MAINTAIN;
        if due || store.is_too_large() {
            maintained = Instant::now();
            if let Err(error) = store.maintain() {
                tracing::warn!(%error, "the store can't delete what is old; it will try again");
            }
        }
        publish(&store, stats);
    }
}

fn publish(store: &Store, stats: &Mutex<EmbeddedStats>) {
    *stats.lock().unwrap_or_else(PoisonError::into_inner) = store.stats();
}

/// How often age is looked at.
const MAINTAIN: Duration = Duration::from_secs(60);
