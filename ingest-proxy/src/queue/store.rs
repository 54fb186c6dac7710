//! The queue's tables. Everything here blocks, and each call is one transaction.

mod bounds;
mod delivery;
mod quarantine;
mod sessions;
mod time;

use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use self::time::QueueTime;
use super::stats::{ADMITTED, REFUSED, REFUSED_PARCELS, REPLAYED};
use super::{Admitted, QueueLimits, QueueStats, SessionRecord};
use undertone_storage::{
    FileFormat, StorageError, WallClock, failed, from_sql, release_free_pages, to_sql,
    truncate_wal, unix_seconds,
};

/// A parcel as it will be stored.
pub(super) struct Prepared {
    pub(super) parcel_id: [u8; 16],
    pub(super) lines: String,
    pub(super) points: u64,
    pub(super) refused: Vec<(&'static str, u64)>,
    pub(super) session: Option<[u8; 16]>,
    pub(super) refused_whole: Option<&'static str>,
    pub(super) sessions: Vec<SessionRecord>,
}

/// Parcels as they were stored.
pub(super) struct Stored {
    pub(super) lines: String,
    pub(super) through: Option<i64>,
}

/// The open file, and what is known about it without reading.
pub(super) struct Store {
    pub(super) connection: Connection,
    limits: QueueLimits,
    time: QueueTime,
    stats: QueueStats,
    /// Whether something was deleted since the log was last emptied.
    deleted: bool,
}

impl Store {
    pub(super) fn open(
        folder: &Path,
        limits: QueueLimits,
        clock: WallClock,
    ) -> Result<Self, StorageError> {
        let connection = undertone_storage::open(folder, &FORMAT, clock())?;
        let time =
            QueueTime::open(&connection, clock).map_err(failed("cannot read the queue's time"))?;
        let stats = load_stats(&connection).map_err(failed("cannot read the queue's counts"))?;
        // An earlier process may have ended between deleting and emptying the log.
        Ok(Self { connection, limits, time, stats, deleted: true })
    }

    pub(super) fn limits(&self) -> &QueueLimits {
        &self.limits
    }

    pub(super) fn stats(&self) -> &QueueStats {
        &self.stats
    }

    pub(super) fn has_deleted(&self) -> bool {
        self.deleted
    }

    /// Stores parcels, all or none.
    pub(super) fn admit(&mut self, parcels: &[Prepared]) -> Result<Vec<Admitted>, StorageError> {
        self.change("cannot store parcels", |change| {
            change.forget_ids()?;
            let outcomes =
                parcels.iter().map(|parcel| change.admit(parcel)).collect::<Result<_, _>>()?;
            change.drop_old()?;
            change.drop_excess()?;
            Ok(outcomes)
        })
    }

    /// Drops what is too old, then makes what was deleted be gone from the disk.
    pub(super) fn maintain(&mut self) -> Result<(), StorageError> {
        self.change("cannot drop what is too old", |change| {
            change.drop_old()?;
            change.drop_old_quarantine()?;
            change.forget_sessions()?;
            change.forget_ids()
        })?;
        if self.deleted {
            release_free_pages(&self.connection)?;
            self.deleted = !truncate_wal(&self.connection)?;
        }
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<(), StorageError> {
        self.change("cannot store the queue's time", |change| change.write_time(true))?;
        truncate_wal(&self.connection)?;
        self.connection.close().map_err(|(_, source)| failed("cannot close the queue")(source))
    }

    /// Runs one transaction. If it fails, the counts are as they were, like the tables.
    fn change<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Change<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let before = self.stats.clone();
        let now = self.time.now();
        let run = || {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut change = Change {
                transaction,
                limits: &self.limits,
                stats: &mut self.stats,
                deleted: &mut self.deleted,
                now,
            };
            let value = work(&mut change)?;
            change.write_time(false)?;
            change.transaction.commit()?;
            Ok(value)
        };
        let outcome = run().map_err(failed(doing));
        if outcome.is_err() {
            self.stats = before;
        }
        outcome
    }
}

/// One transaction, and the counts that change with it.
struct Change<'a> {
    transaction: Transaction<'a>,
    limits: &'a QueueLimits,
    stats: &'a mut QueueStats,
    deleted: &'a mut bool,
    now: SystemTime,
}

impl Change<'_> {
    fn admit(&mut self, parcel: &Prepared) -> rusqlite::Result<Admitted> {
        let now = unix_seconds(self.now);
        for session in &parcel.sessions {
            self.write_session(session)?;
        }
        if let Some(reason) = parcel.refused_whole {
            // Nothing of it is stored, so its ID need not be remembered: whoever is refused can't
            // push out what is. The count makes it cost a commit like any other.
            self.count(&format!("{REFUSED_PARCELS}{reason}"), 1)?;
            self.count_refused(&parcel.refused)?;
            return Ok(Admitted::Refused);
        }
        let added = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO seen (parcel_id, seen_at) VALUES (?, ?)")?
            .execute(params![parcel.parcel_id, now])?;
        if added == 0 {
            // This also makes a replay cost a commit, so that its answer takes as long.
            self.count(REPLAYED, 1)?;
            return Ok(Admitted::Replayed);
        }
        self.stats.remembered_ids += 1;
        self.tally(ADMITTED, 1, parcel.points)?;
        self.count_refused(&parcel.refused)?;
        if parcel.points > 0 {
            self.transaction
                .prepare_cached(
                    "INSERT INTO parcel (admitted_at, points, lines, session) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![
                    now,
                    to_sql(parcel.points),
                    parcel.lines.as_bytes(),
                    parcel.session
                ])?;
            self.stats.newest = self.transaction.last_insert_rowid();
            self.stats.waiting_parcels += 1;
            self.stats.waiting_bytes += parcel.lines.len() as u64 + PARCEL_OVERHEAD;
        }
        Ok(Admitted::New)
    }

    fn count_refused(&mut self, refused: &[(&'static str, u64)]) -> rusqlite::Result<()> {
        for (reason, count) in refused {
            self.count(&format!("{REFUSED}{reason}"), *count)?;
        }
        Ok(())
    }

    fn tally(&mut self, names: [&str; 2], parcels: u64, points: u64) -> rusqlite::Result<()> {
        self.count(names[0], parcels)?;
        self.count(names[1], points)
    }

    fn count(&mut self, name: &str, count: u64) -> rusqlite::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.transaction
            .prepare_cached(
                "INSERT INTO counter (name, value) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            )?
            .execute(params![name, to_sql(count)])?;
        *self.stats.counts.entry(name.to_owned()).or_default() += count;
        Ok(())
    }
}

fn load_stats(connection: &Connection) -> rusqlite::Result<QueueStats> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let counts = connection
        .prepare("SELECT name, value FROM counter")?
        .query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?
        .collect::<Result<_, _>>()?;
    let overhead = to_sql(PARCEL_OVERHEAD);
    Ok(QueueStats {
        waiting_parcels: from_sql(number("SELECT count(*) FROM parcel")?),
        waiting_bytes: from_sql(connection.query_row(
            "SELECT coalesce(sum(length(lines) + ?), 0) FROM parcel",
            [overhead],
            |row| row.get(0),
        )?),
        remembered_ids: from_sql(number("SELECT count(*) FROM seen")?),
        newest: connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'parcel'", [], |row| {
                row.get(0)
            })
            .optional()?
            .unwrap_or(0),
        counts,
    })
}

/// What a parcel is counted for beside its lines.
const PARCEL_OVERHEAD: u64 = 64;

pub(super) const FORMAT: FileFormat = FileFormat {
    name: "queue.sqlite3",
    exclusive: true,
    migrations: &[
        "
        CREATE TABLE parcel (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            admitted_at INTEGER NOT NULL,
            points INTEGER NOT NULL,
            lines BLOB NOT NULL
        ) STRICT;
        CREATE TABLE seen (
            parcel_id BLOB PRIMARY KEY,
            seen_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX seen_by_age ON seen (seen_at);
        CREATE TABLE position (
            sink TEXT PRIMARY KEY,
            seq INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE quarantine (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            refused_at INTEGER NOT NULL,
            sink TEXT NOT NULL,
            reason TEXT NOT NULL,
            line TEXT NOT NULL
        ) STRICT;
        CREATE TABLE counter (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
    ",
        "
        ALTER TABLE parcel ADD COLUMN session BLOB;
        CREATE INDEX parcel_by_session ON parcel (session);
        CREATE TABLE session (
            id BLOB PRIMARY KEY,
            first_seen INTEGER NOT NULL,
            last_seen INTEGER NOT NULL,
            series BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE time (
            only INTEGER PRIMARY KEY,
            seconds INTEGER NOT NULL
        ) STRICT;
    ",
        "
        -- Which sink alone a parcel is for: what it refused, and was put back. NULL: all.
        ALTER TABLE parcel ADD COLUMN sink TEXT;
    ",
    ],
};
