//! What keeps the queue within its limits: the oldest goes first, and is counted. Where there is no room,
//! it is the oldest of the session that has most in it: so no flood pushes out what others have brought.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rusqlite::{OptionalExtension, Row, params};
use undertone_storage::{from_sql, to_sql, unix_seconds, whole_seconds};

use super::{Change, PARCEL_OVERHEAD};
use crate::queue::stats::{DROPPED_FULL, DROPPED_OLD, FORGOTTEN_EARLY, QUARANTINE_DROPPED};

/// The oldest parcel that waits.
struct Oldest {
    seq: i64,
    admitted_at: i64,
    points: u64,
    bytes: u64,
}

/// The bytes that a session has in the queue, its oldest parcel, and which it is; parcels of none
/// count as one session's.
type Holding = (u64, Reverse<i64>, Option<[u8; 16]>);

impl Oldest {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            admitted_at: row.get(1)?,
            points: from_sql(row.get(2)?),
            bytes: from_sql(row.get(3)?) + PARCEL_OVERHEAD,
        })
    }
}

/// What part of a full queue is made free beyond what is needed.
const SPARE: u64 = 64;

impl Change<'_> {
    /// Drops parcels that have waited too long.
    pub(super) fn drop_old(&mut self) -> rusqlite::Result<()> {
        let cutoff = self.before_now(self.limits.age);
        while let Some(oldest) = self.oldest()? {
            if oldest.admitted_at >= cutoff {
                break;
            }
            self.drop_parcel(&oldest, DROPPED_OLD)?;
        }
        Ok(())
    }

    /// Drops refused lines that have been kept as long as a parcel may wait.
    pub(super) fn drop_old_quarantine(&mut self) -> rusqlite::Result<()> {
        let lines = self
            .transaction
            .prepare_cached("DELETE FROM quarantine WHERE refused_at < ?")?
            .execute([self.before_now(self.limits.age)])?;
        self.deleted_rows(lines);
        self.count(QUARANTINE_DROPPED, lines as u64)
    }

    /// Drops parcels until the rest fits, each time the oldest of the session that has most.
    ///
    /// Who has how much is added up anew each time the queue is full; a little more than needed is
    /// dropped, so that this is seldom.
    pub(super) fn drop_excess(&mut self) -> rusqlite::Result<()> {
        if self.stats.waiting_bytes <= self.limits.bytes {
            return Ok(());
        }
        let goal = self.limits.bytes - self.limits.bytes / SPARE;
        let mut sessions = self.heaviest()?;
        while self.stats.waiting_bytes > goal
            && let Some((bytes, _, session)) = sessions.pop()
        {
            let Some(oldest) = self.oldest_of(session)? else { continue };
            self.drop_parcel(&oldest, DROPPED_FULL)?;
            sessions.push((bytes.saturating_sub(oldest.bytes), Reverse(oldest.seq), session));
        }
        Ok(())
    }

    /// What every session has in the queue, with its oldest parcel.
    fn heaviest(&self) -> rusqlite::Result<BinaryHeap<Holding>> {
        self.transaction
            .prepare_cached(
                "SELECT sum(length(lines) + ?), min(seq), session FROM parcel GROUP BY session",
            )?
            .query_map([to_sql(PARCEL_OVERHEAD)], |row| {
                Ok((from_sql(row.get(0)?), Reverse(row.get(1)?), row.get(2)?))
            })?
            .collect()
    }

    /// Forgets parcel IDs after their time, and the oldest of too many.
    pub(super) fn forget_ids(&mut self) -> rusqlite::Result<()> {
        let expired = self
            .transaction
            .prepare_cached("DELETE FROM seen WHERE seen_at < ?")?
            .execute([self.before_now(self.limits.remember)])?;
        self.stats.remembered_ids = self.stats.remembered_ids.saturating_sub(expired as u64);
        self.deleted_rows(expired);
        let excess = self.stats.remembered_ids.saturating_sub(self.limits.remember_ids);
        if excess > 0 {
            let forgotten = self
                .transaction
                .prepare_cached(
                    "DELETE FROM seen WHERE parcel_id IN
                     (SELECT parcel_id FROM seen ORDER BY seen_at LIMIT ?)",
                )?
                .execute([to_sql(excess)])?;
            self.stats.remembered_ids = self.stats.remembered_ids.saturating_sub(forgotten as u64);
            self.deleted_rows(forgotten);
            self.count(FORGOTTEN_EARLY, forgotten as u64)?;
        }
        Ok(())
    }

    /// Drops refused lines until the rest fits.
    pub(super) fn bound_quarantine(&mut self) -> rusqlite::Result<()> {
        let dropped = self
            .transaction
            .prepare_cached(
                "DELETE FROM quarantine WHERE id IN (
                     SELECT id FROM (
                         SELECT id, sum(length(line) + length(reason)) OVER (ORDER BY id DESC)
                             AS total FROM quarantine)
                     WHERE total > ?)",
            )?
            .execute([to_sql(self.limits.quarantine_bytes)])?;
        self.deleted_rows(dropped);
        self.count(QUARANTINE_DROPPED, dropped as u64)
    }

    pub(super) fn deleted_rows(&mut self, rows: usize) {
        *self.deleted |= rows > 0;
    }

    fn oldest(&self) -> rusqlite::Result<Option<Oldest>> {
        self.transaction
            .prepare_cached(
                "SELECT seq, admitted_at, points, length(lines) FROM parcel ORDER BY seq LIMIT 1",
            )?
            .query_row([], Oldest::read)
            .optional()
    }

    fn oldest_of(&self, session: Option<[u8; 16]>) -> rusqlite::Result<Option<Oldest>> {
        self.transaction
            .prepare_cached(
                "SELECT seq, admitted_at, points, length(lines) FROM parcel
                 WHERE session IS ? ORDER BY seq LIMIT 1",
            )?
            .query_row([session], Oldest::read)
            .optional()
    }

    fn drop_parcel(&mut self, parcel: &Oldest, reason: [&str; 2]) -> rusqlite::Result<()> {
        let rows = self
            .transaction
            .prepare_cached("DELETE FROM parcel WHERE seq = ?")?
            .execute(params![parcel.seq])?;
        self.deleted_rows(rows);
        self.stats.waiting_parcels = self.stats.waiting_parcels.saturating_sub(1);
        self.stats.waiting_bytes = self.stats.waiting_bytes.saturating_sub(parcel.bytes);
        self.tally(reason, 1, parcel.points)
    }

    fn before_now(&self, age: Duration) -> i64 {
        unix_seconds(self.now).saturating_sub(whole_seconds(age))
    }
}
