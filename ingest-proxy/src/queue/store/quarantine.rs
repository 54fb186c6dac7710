//! Refused lines: looked at, put back, deleted.

use rusqlite::params;
use undertone_storage::{StorageError, StorageErrorKind, failed, to_sql, unix_seconds};

use super::{Change, PARCEL_OVERHEAD, Store};
use crate::queue::stats::{PUT_BACK, QUARANTINE_DELETED};
use crate::queue::{Kept, Quarantined, Which};

/// How many lines are put back as one parcel.
const LINES_A_PARCEL: usize = 1_000;

impl Store {
    pub(in crate::queue) fn kept(
        &self,
        which: &Which,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Kept>, StorageError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT id, refused_at, sink, reason, line FROM quarantine WHERE id > ? ORDER BY id",
            )?;
            let mut rows = statement.query([after])?;
            let mut kept = Vec::new();
            while kept.len() < limit
                && let Some(row) = rows.next()?
            {
                let (id, sink) = (row.get(0)?, row.get::<_, String>(2)?);
                if which.means(id, &sink) {
                    let line = Quarantined { sink, reason: row.get(3)?, line: row.get(4)? };
                    kept.push(Kept { id, refused_at: row.get(1)?, line });
                }
            }
            Ok(kept)
        };
        run().map_err(failed("cannot read refused lines"))
    }

    /// All or none, in one transaction.
    pub(in crate::queue) fn put_back(&mut self, which: &Which) -> Result<u64, StorageError> {
        let lines = self.kept(which, 0, usize::MAX)?;
        for line in &lines {
            self.position(&line.line.sink).map_err(|_| {
                let what = format!(
                    "sink {:?} is no longer in the configuration: delete its lines, or put it back first",
                    line.line.sink
                );
                StorageError::new(StorageErrorKind::UnknownSink, what)
            })?;
        }
        let bytes: usize = lines.iter().map(|line| line.line.line.len() + 1).sum();
        let room = self.limits.bytes.saturating_sub(self.stats.waiting_bytes);
        let parcels = lines.len() as u64;
        if bytes as u64 + parcels * PARCEL_OVERHEAD > room {
            let what = "there is no room for these lines in the queue: put back fewer, or wait until \
                        sinks have taken what waits";
            return Err(StorageError::new(StorageErrorKind::Full, what));
        }
        self.change("cannot put refused lines back", |change| {
            let same = |a: &Kept, b: &Kept| a.line.sink == b.line.sink;
            for run in lines.chunk_by(same).flat_map(|run| run.chunks(LINES_A_PARCEL)) {
                change.put_back(run)?;
            }
            change.forget(&lines)?;
            change.count(PUT_BACK, lines.len() as u64)
        })?;
        Ok(lines.len() as u64)
    }

    pub(in crate::queue) fn delete_kept(&mut self, which: &Which) -> Result<u64, StorageError> {
        let lines = self.kept(which, 0, usize::MAX)?;
        self.change("cannot delete refused lines", |change| {
            change.forget(&lines)?;
            change.count(QUARANTINE_DELETED, lines.len() as u64)
        })?;
        // Whoever is told that they are gone must find them nowhere on the disk.
        self.maintain()?;
        Ok(lines.len() as u64)
    }
}

impl Change<'_> {
    /// Lines of one sink, as a parcel for it alone.
    fn put_back(&mut self, lines: &[Kept]) -> rusqlite::Result<()> {
        let Some(first) = lines.first() else { return Ok(()) };
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.line.line);
            text.push('\n');
        }
        self.transaction
            .prepare_cached(
                "INSERT INTO parcel (admitted_at, points, lines, sink) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![
                unix_seconds(self.now),
                to_sql(lines.len() as u64),
                text.as_bytes(),
                first.line.sink
            ])?;
        self.stats.newest = self.transaction.last_insert_rowid();
        self.stats.waiting_parcels += 1;
        self.stats.waiting_bytes += text.len() as u64 + PARCEL_OVERHEAD;
        Ok(())
    }

    fn forget(&mut self, lines: &[Kept]) -> rusqlite::Result<()> {
        for line in lines {
            let rows = self
                .transaction
                .prepare_cached("DELETE FROM quarantine WHERE id = ?")?
                .execute([line.id])?;
            self.deleted_rows(rows);
        }
        Ok(())
    }
}
