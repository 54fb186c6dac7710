//! What is held and of whom, as tables.

use rusqlite::{OptionalExtension, params};
use undertone_storage::{StorageError, failed, from_sql, to_sql, unix_seconds};

use super::{Change, PARCEL_OVERHEAD, Prepared, Store};
use crate::queue::{
    Held, Holding, Suspect,
    stats::{
        ADMITTED, FLAGGED_SESSIONS, HELD, HELD_DELETED, HELD_DROPPED, HELD_POINTS, HELD_RELEASED,
    },
    suspects::{FLAGGED, ago},
};

/// Sessions that are flagged at once; beyond, the one that was held the longest ago is forgotten.
pub(super) const SUSPECTS_LIMIT: u64 = 10_000;

pub(super) const TABLES: &str = "
    CREATE TABLE suspect (
        session TEXT PRIMARY KEY,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX suspect_by_age ON suspect (last_at);
    CREATE TABLE suspicion (
        session TEXT NOT NULL,
        reason TEXT NOT NULL,
        points INTEGER NOT NULL,
        PRIMARY KEY (session, reason)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE held (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        held_at INTEGER NOT NULL,
        session TEXT NOT NULL,
        reason TEXT NOT NULL,
        points INTEGER NOT NULL,
        lines BLOB NOT NULL
    ) STRICT;
    CREATE INDEX held_by_session ON held (session, id);
";

/// What stays of a parcel when what can't be true is held.
pub(super) struct Kept {
    pub(super) lines: String,
    pub(super) points: u64,
}

impl Store {
    pub(in crate::queue) fn suspects(&self, limit: usize) -> Result<Vec<Suspect>, StorageError> {
        let now = unix_seconds(self.time.now());
        let run = || {
            let mut reasons = self.connection.prepare_cached(
                "SELECT reason, points FROM suspicion WHERE session = ? ORDER BY points DESC, reason",
            )?;
            let mut statement = self.connection.prepare_cached(
                "SELECT session, first_at, last_at,
                     (SELECT coalesce(sum(points), 0) FROM held WHERE held.session = suspect.session)
                 FROM suspect ORDER BY last_at DESC, session LIMIT ?",
            )?;
            let mut rows = statement.query([to_sql(limit as u64)])?;
            let mut suspects = Vec::new();
            while let Some(row) = rows.next()? {
                let session: String = row.get(0)?;
                let reasons = reasons
                    .query_map([&session], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?
                    .collect::<Result<_, _>>()?;
                let (first, last) = (ago(now, row.get(1)?), ago(now, row.get(2)?));
                let held_points = from_sql(row.get(3)?);
                suspects.push(Suspect { session, first, last, reasons, held_points });
            }
            Ok(suspects)
        };
        run().map_err(failed("cannot read which sessions are flagged"))
    }

    pub(in crate::queue) fn held(
        &self,
        session: &str,
        limit: usize,
    ) -> Result<Vec<Held>, StorageError> {
        let now = unix_seconds(self.time.now());
        let run = || {
            self.connection
                .prepare_cached(
                    "SELECT held_at, reason, lines FROM held WHERE session = ? ORDER BY id DESC LIMIT ?",
                )?
                .query_map(params![session, to_sql(limit as u64)], |row| {
                    let lines = String::from_utf8_lossy(row.get_ref(2)?.as_bytes()?).into_owned();
                    Ok(Held { age: ago(now, row.get(0)?), reason: row.get(1)?, lines })
                })?
                .collect::<Result<_, _>>()
        };
        run().map_err(failed("cannot read what is held"))
    }

    /// In one transaction, so that a crash finds it done or not begun.
    pub(in crate::queue) fn release(&mut self, session: &str) -> Result<Option<u64>, StorageError> {
        self.change("cannot release what is held", |change| {
            if !change.is_suspect(session)? {
                return Ok(None);
            }
            let now = unix_seconds(change.now);
            let moved: (u64, u64, u64) = change
                .transaction
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(points), 0), coalesce(sum(length(lines)), 0)
                     FROM held WHERE session = ?",
                )?
                .query_row([session], |row| {
                    Ok((from_sql(row.get(0)?), from_sql(row.get(1)?), from_sql(row.get(2)?)))
                })?;
            let (rows, points, bytes) = moved;
            change
                .transaction
                .prepare_cached(
                    "INSERT INTO parcel (admitted_at, points, lines, session)
                     SELECT ?, points, lines, unhex(replace(session, '-', ''))
                     FROM held WHERE session = ? ORDER BY id",
                )?
                .execute(params![now, session])?;
            if rows > 0 {
                change.stats.newest = change.transaction.last_insert_rowid();
                change.stats.waiting_parcels += rows;
                change.stats.waiting_bytes += bytes + rows * PARCEL_OVERHEAD;
            }
            change.let_go(session, HELD_RELEASED)?;
            change.count(ADMITTED[1], points)?;
            change.absolve(session)?;
            change.drop_excess()?;
            Ok(Some(points))
        })
    }

    pub(in crate::queue) fn delete_held(
        &mut self,
        session: &str,
    ) -> Result<Option<u64>, StorageError> {
        let deleted = self.change("cannot delete what is held", |change| {
            if !change.is_suspect(session)? {
                return Ok(None);
            }
            change.let_go(session, HELD_DELETED).map(Some)
        })?;
        self.maintain()?;
        Ok(deleted)
    }
}

impl Change<'_> {
    /// Holds what of a new parcel can't be true, and flags its session; what stays is to be stored. None if
    /// all of it does.
    pub(super) fn hold(&mut self, parcel: &Prepared) -> rusqlite::Result<Option<Kept>> {
        let Some(judge) = &parcel.judge else { return Ok(None) };
        let impossible = (judge.judge)();
        let session = judge.session.clone();
        let whole = self.limits.holding == Holding::Session
            && (!impossible.is_empty() || self.is_suspect(&session)?);
        if impossible.is_empty() && !whole || parcel.ends.is_empty() {
            return Ok(None);
        }
        let mut reasons: Vec<Option<&'static str>> =
            vec![whole.then_some(FLAGGED); parcel.ends.len()];
        for hold in &impossible {
            if let Some(reason) = reasons.get_mut(hold.point) {
                *reason = Some(hold.reason);
            }
        }
        let mut kept = Kept { lines: String::new(), points: 0 };
        let mut held: Vec<(&'static str, String, u64)> = Vec::new();
        let mut start = 0;
        for (reason, end) in reasons.into_iter().zip(&parcel.ends) {
            let line = parcel.lines.get(start..*end).unwrap_or_default();
            start = *end;
            let Some(reason) = reason else {
                kept.lines.push_str(line);
                kept.points += 1;
                continue;
            };
            match held.iter_mut().find(|(other, ..)| *other == reason) {
                Some((_, lines, points)) => {
                    lines.push_str(line);
                    *points += 1;
                }
                None => held.push((reason, line.to_owned(), 1)),
            }
        }
        self.flag(&session)?;
        for (reason, lines, points) in held {
            self.hold_lines(&session, reason, &lines, points)?;
        }
        Ok(Some(kept))
    }

    fn hold_lines(
        &mut self,
        session: &str,
        reason: &str,
        lines: &str,
        points: u64,
    ) -> rusqlite::Result<()> {
        let now = unix_seconds(self.now);
        self.transaction
            .prepare_cached(
                "INSERT INTO suspicion (session, reason, points) VALUES (?, ?, ?)
                 ON CONFLICT (session, reason) DO UPDATE SET points = points + excluded.points",
            )?
            .execute(params![session, reason, to_sql(points)])?;
        self.transaction
            .prepare_cached(
                "INSERT INTO held (held_at, session, reason, points, lines) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![now, session, reason, to_sql(points), lines.as_bytes()])?;
        self.stats.held_points += points;
        self.stats.held_bytes += lines.len() as u64 + PARCEL_OVERHEAD;
        self.count(HELD_POINTS, points)?;
        self.count(&format!("{HELD}{reason}"), points)
    }

    fn flag(&mut self, session: &str) -> rusqlite::Result<()> {
        let now = unix_seconds(self.now);
        let is_new = !self.is_suspect(session)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO suspect (session, first_at, last_at) VALUES (?, ?, ?)
                 ON CONFLICT (session) DO UPDATE SET last_at = excluded.last_at",
            )?
            .execute(params![session, now, now])?;
        if is_new {
            self.stats.suspects += 1;
            self.count(FLAGGED_SESSIONS, 1)?;
        }
        Ok(())
    }

    pub(super) fn is_suspect(&self, session: &str) -> rusqlite::Result<bool> {
        if self.stats.suspects == 0 {
            return Ok(false);
        }
        self.transaction
            .prepare_cached("SELECT 1 FROM suspect WHERE session = ?")?
            .exists([session])
    }

    /// Keeps what is held, and who is flagged, within their bounds: the oldest goes first.
    pub(super) fn bound_held(&mut self) -> rusqlite::Result<()> {
        while self.stats.held_bytes > self.limits.held_bytes {
            let oldest: Option<(i64, u64, u64)> = self
                .transaction
                .prepare_cached("SELECT id, points, length(lines) FROM held ORDER BY id LIMIT 1")?
                .query_row([], |row| {
                    Ok((row.get(0)?, from_sql(row.get(1)?), from_sql(row.get(2)?)))
                })
                .optional()?;
            let Some((id, points, bytes)) = oldest else { break };
            let rows =
                self.transaction.prepare_cached("DELETE FROM held WHERE id = ?")?.execute([id])?;
            self.forget_held(rows, points, bytes + PARCEL_OVERHEAD, HELD_DROPPED)?;
        }
        while self.stats.suspects > SUSPECTS_LIMIT {
            let longest_ago: Option<String> = self
                .transaction
                .prepare_cached("SELECT session FROM suspect ORDER BY last_at LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let Some(session) = longest_ago else { break };
            self.let_go(&session, HELD_DROPPED)?;
            self.absolve(&session)?;
        }
        Ok(())
    }

    /// Drops what has been held as long as a parcel may wait, and flags of whom nothing was held since.
    pub(super) fn drop_old_held(&mut self) -> rusqlite::Result<()> {
        let cutoff = self.before_now(self.limits.age);
        let (points, bytes) = self
            .transaction
            .prepare_cached(
                "SELECT coalesce(sum(points), 0), coalesce(sum(length(lines) + ?), 0)
                 FROM held WHERE held_at < ?",
            )?
            .query_row(params![to_sql(PARCEL_OVERHEAD), cutoff], |row| {
                Ok((from_sql(row.get(0)?), from_sql(row.get(1)?)))
            })?;
        let rows = self
            .transaction
            .prepare_cached("DELETE FROM held WHERE held_at < ?")?
            .execute([cutoff])?;
        self.forget_held(rows, points, bytes, HELD_DROPPED)?;
        let old: Vec<String> = self
            .transaction
            .prepare_cached("SELECT session FROM suspect WHERE last_at < ?")?
            .query_map([cutoff], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        old.iter().try_for_each(|session| self.absolve(session))
    }

    /// Nothing is held of a session any more. Says how many points were.
    fn let_go(&mut self, session: &str, what: &str) -> rusqlite::Result<u64> {
        let (points, bytes) = self
            .transaction
            .prepare_cached(
                "SELECT coalesce(sum(points), 0), coalesce(sum(length(lines) + ?), 0)
                 FROM held WHERE session = ?",
            )?
            .query_row(params![to_sql(PARCEL_OVERHEAD), session], |row| {
                Ok((from_sql(row.get(0)?), from_sql(row.get(1)?)))
            })?;
        let rows = self
            .transaction
            .prepare_cached("DELETE FROM held WHERE session = ?")?
            .execute([session])?;
        self.forget_held(rows, points, bytes, what)?;
        Ok(points)
    }

    fn forget_held(
        &mut self,
        rows: usize,
        points: u64,
        bytes: u64,
        what: &str,
    ) -> rusqlite::Result<()> {
        self.deleted_rows(rows);
        self.stats.held_points = self.stats.held_points.saturating_sub(points);
        self.stats.held_bytes = self.stats.held_bytes.saturating_sub(bytes);
        self.count(what, points)
    }

    /// A session isn't flagged any more.
    fn absolve(&mut self, session: &str) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("DELETE FROM suspicion WHERE session = ?")?
            .execute([session])?;
        let rows = self
            .transaction
            .prepare_cached("DELETE FROM suspect WHERE session = ?")?
            .execute([session])?;
        self.deleted_rows(rows);
        self.stats.suspects = self.stats.suspects.saturating_sub(rows as u64);
        Ok(())
    }
}

pub(super) fn load(connection: &rusqlite::Connection) -> rusqlite::Result<(u64, u64, u64)> {
    let (points, bytes) = connection.query_row(
        "SELECT coalesce(sum(points), 0), coalesce(sum(length(lines) + ?), 0) FROM held",
        [to_sql(PARCEL_OVERHEAD)],
        |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))),
    )?;
    let suspects = connection.query_row("SELECT count(*) FROM suspect", [], |row| row.get(0))?;
    Ok((points, bytes, from_sql(suspects)))
}
