//! What is held back, and of which sessions: what can't be true isn't written to any database until the
//! operator says so.
//!
//! Held in the same commit that admits the parcel, so that its answer is that of any other (P8). Released
//! exactly once: in one transaction the points leave what is held and enter the queue, with the times that
//! they were given at admission (D3). Deleted is gone from the disk (S7).

use std::{fmt, sync::Arc, time::Duration};

use undertone_storage::StorageError;
use undertone_wire::Point;

use super::{Queue, commit::Command};
use crate::lines;

/// What becomes of what can't be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holding {
    /// Nothing is looked at.
    Off,
    /// The point is held back, and its session flagged.
    Point,
    /// And with it all that the session says from this parcel on.
    #[default]
    Session,
}

/// A point of a parcel that can't be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Which of the parcel's points.
    pub(crate) point: usize,
    /// Why.
    pub(crate) reason: &'static str,
}

/// Asked once about a parcel that wasn't there before, inside the transaction that admits it.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) session: String,
    /// What of it can't be true.
    pub(crate) judge: Arc<dyn Fn() -> Vec<Hold> + Send + Sync>,
    /// The transaction failed: what was judged isn't so.
    pub(crate) forget: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("session", &self.session).finish_non_exhaustive()
    }
}

/// A session that said what can't be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Its tag.
    pub session: String,
    /// How long ago it was flagged.
    pub first: Duration,
    /// How long ago something of it was held for the last time.
    pub last: Duration,
    /// How many points can't be true, by reason.
    pub reasons: Vec<(String, u64)>,
    /// Points held now.
    pub held_points: u64,
}

/// Points that are held, of one parcel and for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// For how long.
    pub age: Duration,
    /// Why.
    pub reason: String,
    /// The points as they would be written.
    pub lines: String,
}

/// The reason of points that are held for what others of their session say.
pub(crate) const FLAGGED: &str = "flagged";

impl Queue {
    /// The sessions that are flagged, the latest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn suspects(&self, limit: usize) -> Result<Vec<Suspect>, StorageError> {
        self.ask(|reply| Command::Suspects(limit, reply)).await
    }

    /// What is held of a session, the latest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn held(&self, session: &str, limit: usize) -> Result<Vec<Held>, StorageError> {
        let session = session.to_owned();
        self.ask(|reply| Command::Held { session, limit, reply }).await
    }

    /// Puts what is held of a session into the queue, and takes its flag away. Says how many points; none
    /// if it isn't flagged.
    ///
    /// # Errors
    /// If the commit failed: everything is as it was.
    pub async fn release(&self, session: &str) -> Result<Option<u64>, StorageError> {
        let session = session.to_owned();
        self.ask(|reply| Command::Release(session, reply)).await
    }

    /// Deletes what is held of a session, which stays flagged. Says how many points; none if it isn't
    /// flagged. They are gone from the disk when this returns, unless somebody reads the file just then:
    /// then within a minute.
    ///
    /// # Errors
    /// If the commit failed: everything is as it was.
    pub async fn delete_held(&self, session: &str) -> Result<Option<u64>, StorageError> {
        let session = session.to_owned();
        self.ask(|reply| Command::DeleteHeld(session, reply)).await
    }
}

/// How long ago something was stored, by the queue's own time.
pub(super) fn ago(now: i64, then: i64) -> Duration {
    Duration::from_secs(u64::try_from(now.saturating_sub(then)).unwrap_or(0))
}

/// All of `points`, a line each, and where each ends.
pub(super) fn encode(points: &[Point]) -> Result<(String, Vec<usize>), StorageError> {
    let mut text = String::new();
    let mut ends = Vec::with_capacity(points.len());
    for point in points {
        lines::append(point, &mut text)?;
        ends.push(text.len());
    }
    Ok((text, ends))
}
