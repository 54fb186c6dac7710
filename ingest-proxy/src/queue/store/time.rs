//! The queue's own time, by which everything in it ages.
//!
//! It goes on only while the file is open, as a steady clock does, and is kept in the file. So a wall
//! clock that is set, by whomever, forward or back, ages nothing and makes nothing young: what is to be
//! remembered for 48 hours (invariant D2) is. Only its beginning, when the file is made, is a time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};
use undertone_storage::{WallClock, from_sql, unix_seconds};

use super::Change;

/// How much of it may be lost when a process is killed; it then goes slower, never faster.
const WRITE_SECONDS: i64 = 30;

/// The time of one file.
pub(super) struct QueueTime {
    clock: WallClock,
    opened: SystemTime,
    beginning: SystemTime,
}

impl QueueTime {
    /// Goes on from where the file's time was.
    pub(super) fn open(connection: &Connection, clock: WallClock) -> rusqlite::Result<Self> {
        let opened = clock();
        let seconds: Option<i64> =
            connection.query_row("SELECT seconds FROM time", [], |row| row.get(0)).optional()?;
        let beginning = seconds
            .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(from_sql(seconds))))
            .unwrap_or(opened);
        Ok(Self { clock, opened, beginning })
    }

    pub(super) fn now(&self) -> SystemTime {
        let passed = (self.clock)().duration_since(self.opened).unwrap_or_default();
        self.beginning.checked_add(passed).unwrap_or(self.beginning)
    }
}

impl Change<'_> {
    /// Writes down what time it is, now and then, or at the end.
    pub(super) fn write_time(&mut self, at_once: bool) -> rusqlite::Result<()> {
        let apart = if at_once { 0 } else { WRITE_SECONDS };
        self.transaction
            .prepare_cached(
                "INSERT INTO time (only, seconds) VALUES (0, ?1)
                 ON CONFLICT (only) DO UPDATE SET seconds = ?1 WHERE seconds + ?2 <= ?1",
            )?
            .execute([unix_seconds(self.now), apart])
            .map(drop)
    }
}
