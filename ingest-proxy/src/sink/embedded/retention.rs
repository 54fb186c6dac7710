//! What keeps the store within its limits: the oldest samples go first, and are counted.

use std::time::UNIX_EPOCH;

use rusqlite::params;

use super::store::Store;
use undertone_storage::{StorageError, failed, release_free_pages, truncate_wal};

impl Store {
    /// Whether the file has outgrown its limit.
    pub(super) fn is_too_large(&self) -> bool {
        self.file_bytes() > self.limits.bytes
    }

    /// Deletes what is too old, then what is too much, and makes it be gone from the disk.
    pub(super) fn maintain(&mut self) -> Result<(), StorageError> {
        let now = (self.clock)();
        let cutoff = now.checked_sub(self.limits.age).unwrap_or(UNIX_EPOCH);
        let cutoff = cutoff.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        self.deleted_old += self.delete_before(i64::try_from(cutoff).unwrap_or(i64::MAX))?;

        if self.is_too_large() {
            while self.used_bytes() > self.limits.bytes / 100 * TARGET_PERCENT {
                let Some((oldest, newest)) = self.span()? else { break };
                let slice = (i128::from(newest) - i128::from(oldest)) / SLICES + 1;
                let cutoff = i128::from(oldest) + slice;
                self.deleted_full +=
                    self.delete_before(i64::try_from(cutoff).unwrap_or(i64::MAX))?;
            }
        }
        if self.deleted {
            release_free_pages(&self.connection)?;
            self.deleted = !truncate_wal(&self.connection)?;
        }
        Ok(())
    }

    /// Deletes all samples before a time, and the names that nothing uses any more; returns how
    /// many samples.
    fn delete_before(&mut self, cutoff: i64) -> Result<u64, StorageError> {
        let mut run = || {
            let transaction = self.connection.transaction()?;
            let series: Vec<i64> = transaction
                .prepare_cached("SELECT id FROM series WHERE oldest < ?")?
                .query_map([cutoff], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if series.is_empty() {
                return Ok(0);
            }
            let mut samples = 0;
            let mut emptied = false;
            for id in series {
                samples += transaction
                    .prepare_cached("DELETE FROM sample WHERE series = ? AND time < ?")?
                    .execute(params![id, cutoff])?;
                let oldest: Option<i64> = transaction
                    .prepare_cached("SELECT min(time) FROM sample WHERE series = ?")?
                    .query_row([id], |row| row.get(0))?;
                match oldest {
                    Some(oldest) => transaction
                        .prepare_cached("UPDATE series SET oldest = ? WHERE id = ?")?
                        .execute(params![oldest, id])?,
                    None => {
                        emptied = true;
                        transaction
                            .prepare_cached("DELETE FROM series WHERE id = ?")?
                            .execute([id])?
                    }
                };
            }
            if emptied {
                transaction.execute_batch(
                    "DELETE FROM measurement WHERE id NOT IN (SELECT measurement FROM series);
                     DELETE FROM field WHERE measurement NOT IN (SELECT id FROM measurement);",
                )?;
            }
            transaction.commit()?;
            Ok(samples as u64)
        };
        let samples = run().map_err(failed("cannot delete old samples"))?;
        self.deleted |= samples > 0;
        Ok(samples)
    }

    fn span(&self) -> Result<Option<(i64, i64)>, StorageError> {
        self.connection
            .query_row("SELECT min(oldest), max(newest) FROM series", [], |row| {
                Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?))
            })
            .map_err(failed("cannot read how far the store reaches"))
    }

    fn used_bytes(&self) -> u64 {
        (self.pragma("page_count") - self.pragma("freelist_count")) * self.pragma("page_size")
    }
}

/// How full the file is after it was trimmed, so that not every write trims.
const TARGET_PERCENT: u64 = 90;
/// The oldest of how many equal spans of time is deleted at once.
const SLICES: i128 = 20;
