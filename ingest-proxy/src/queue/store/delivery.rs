//! What sinks have written and what they refused.

use rusqlite::{OptionalExtension, params};
use undertone_storage::{StorageError, StorageErrorKind, failed, from_sql, to_sql, unix_seconds};

use super::{Change, PARCEL_OVERHEAD, Store, Stored};
use crate::queue::Quarantined;
use crate::queue::stats::{DELIVERED, QUARANTINED};

impl Store {
    /// Makes the positions be those of `names`, and no others.
    pub(in crate::queue) fn register(&mut self, names: &[String]) -> Result<(), StorageError> {
        self.change("cannot store the sinks", |change| {
            let known: Vec<String> = change
                .transaction
                .prepare("SELECT sink FROM position")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for gone in known.iter().filter(|sink| !names.contains(sink)) {
                change.transaction.execute("DELETE FROM position WHERE sink = ?", [gone])?;
            }
            for name in names {
                change
                    .transaction
                    .execute("INSERT OR IGNORE INTO position (sink, seq) VALUES (?, 0)", [name])?;
            }
            change.delete_delivered()
        })
    }

    /// Reads whole parcels behind a sink's position.
    pub(in crate::queue) fn read(&self, sink: &str, limit: usize) -> Result<Stored, StorageError> {
        let position = self.position(sink)?;
        let run = || {
            let mut stored = Stored { lines: String::new(), through: None };
            let mut points = 0;
            let mut statement = self.connection.prepare_cached(
                "SELECT seq, points, lines, coalesce(sink, ?2) = ?2 FROM parcel WHERE seq > ?1
                 ORDER BY seq",
            )?;
            let mut rows = statement.query(params![position, sink])?;
            while let Some(row) = rows.next()? {
                if !row.get(3)? {
                    // For another sink alone: passed.
                    stored.through = Some(row.get(0)?);
                    continue;
                }
                let lines = row.get_ref(2)?.as_bytes()?;
                points += from_sql(row.get(1)?);
                let full = points > limit as u64 || stored.lines.len() + lines.len() > READ_BYTES;
                if full && !stored.lines.is_empty() {
                    break;
                }
                // Damaged text is counted where it is parsed.
                stored.lines.push_str(&String::from_utf8_lossy(lines));
                stored.through = Some(row.get(0)?);
            }
            Ok(stored)
        };
        run().map_err(failed("cannot read what waits"))
    }

    /// Moves a sink's position and deletes what all have passed.
    pub(in crate::queue) fn advance(
        &mut self,
        sink: &str,
        through: i64,
        refused: &[Quarantined],
    ) -> Result<(), StorageError> {
        self.position(sink)?;
        self.change("cannot store a sink's position", |change| {
            change
                .transaction
                .prepare_cached("UPDATE position SET seq = max(seq, ?) WHERE sink = ?")?
                .execute(params![through, sink])?;
            for line in refused {
                change.quarantine(line)?;
            }
            if !refused.is_empty() {
                change.bound_quarantine()?;
            }
            change.delete_delivered()
        })
    }

    pub(in crate::queue) fn quarantined(
        &self,
        limit: usize,
    ) -> Result<Vec<Quarantined>, StorageError> {
        let run = || {
            self.connection
                .prepare_cached(
                    "SELECT sink, reason, line FROM quarantine ORDER BY id DESC LIMIT ?",
                )?
                .query_map([to_sql(limit as u64)], |row| {
                    Ok(Quarantined { sink: row.get(0)?, reason: row.get(1)?, line: row.get(2)? })
                })?
                .collect::<Result<_, _>>()
        };
        run().map_err(failed("cannot read refused lines"))
    }

    /// How many places there are from the sink's position, or the oldest parcel, to the newest.
    pub(in crate::queue) fn lag(&self, sink: &str) -> Result<u64, StorageError> {
        let position = self.position(sink)?;
        let first: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(seq) FROM parcel WHERE seq > ?")
            .and_then(|mut statement| statement.query_row([position], |row| row.get(0)))
            .map_err(failed("cannot read what waits"))?;
        Ok(first.map_or(0, |first| from_sql(self.stats.newest - first + 1)))
    }

    pub(super) fn position(&self, sink: &str) -> Result<i64, StorageError> {
        self.connection
            .prepare_cached("SELECT seq FROM position WHERE sink = ?")
            .and_then(|mut statement| statement.query_row([sink], |row| row.get(0)).optional())
            .map_err(failed("cannot read a sink's position"))?
            .ok_or_else(|| {
                StorageError::new(StorageErrorKind::UnknownSink, "the sink is not registered")
            })
    }
}

impl Change<'_> {
    fn quarantine(&mut self, line: &Quarantined) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO quarantine (refused_at, sink, reason, line) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![unix_seconds(self.now), line.sink, line.reason, line.line])?;
        self.count(QUARANTINED, 1)
    }

    /// Without sinks there is no smallest position, and nothing is deleted.
    fn delete_delivered(&mut self) -> rusqlite::Result<()> {
        let (rows, points, bytes) = self
            .transaction
            .prepare_cached(
                "SELECT count(*), coalesce(sum(points), 0), coalesce(sum(length(lines)), 0)
                 FROM parcel WHERE seq <= (SELECT min(seq) FROM position)",
            )?
            .query_row([], |row| {
                Ok((from_sql(row.get(0)?), from_sql(row.get(1)?), from_sql(row.get(2)?)))
            })?;
        if rows == 0 {
            return Ok(());
        }
        let deleted = self
            .transaction
            .prepare_cached("DELETE FROM parcel WHERE seq <= (SELECT min(seq) FROM position)")?
            .execute([])?;
        self.deleted_rows(deleted);
        self.stats.waiting_parcels = self.stats.waiting_parcels.saturating_sub(rows);
        self.stats.waiting_bytes =
            self.stats.waiting_bytes.saturating_sub(bytes + rows * PARCEL_OVERHEAD);
        self.tally(DELIVERED, rows, points)
    }
}

/// About how many bytes of lines are read at once.
const READ_BYTES: usize = 4 << 20;
