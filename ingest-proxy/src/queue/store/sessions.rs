//! What outlives a process of the sessions that have a place.

use rusqlite::params;
use undertone_storage::{StorageError, failed, from_sql, to_sql, unix_seconds, whole_seconds};

use super::{Change, Store};
use crate::queue::SessionRecord;

impl Store {
    /// All sessions that are remembered.
    pub(in crate::queue) fn sessions(&self) -> Result<Vec<SessionRecord>, StorageError> {
        let now = unix_seconds(self.time.now());
        let ago = |then: i64| from_sql(now.saturating_sub(then));
        let run = || {
            self.connection
                .prepare("SELECT id, first_seen, last_seen, series FROM session")?
                .query_map([], |row| {
                    let series: Vec<u8> = row.get(3)?;
                    let (series, _) = series.as_chunks::<8>();
                    Ok(SessionRecord {
                        id: row.get(0)?,
                        known_seconds: ago(row.get(1)?),
                        unseen_seconds: ago(row.get(2)?),
                        series: series.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect(),
                    })
                })?
                .collect::<Result<_, _>>()
        };
        run().map_err(failed("cannot read the sessions"))
    }
}

impl Change<'_> {
    /// Writes down a session as it is now.
    pub(super) fn write_session(&mut self, session: &SessionRecord) -> rusqlite::Result<()> {
        let now = unix_seconds(self.now);
        let series: Vec<u8> =
            session.series.iter().flat_map(|series| series.to_be_bytes()).collect();
        self.transaction
            .prepare_cached(
                "INSERT INTO session (id, first_seen, last_seen, series) VALUES (?, ?, ?, ?)
                 ON CONFLICT (id) DO UPDATE
                     SET last_seen = excluded.last_seen, series = excluded.series",
            )?
            .execute(params![
                session.id,
                now.saturating_sub(to_sql(session.known_seconds)),
                now.saturating_sub(to_sql(session.unseen_seconds)),
                series
            ])
            .map(drop)
    }

    /// Forgets the sessions that were not heard of for long, and of too many those first.
    pub(super) fn forget_sessions(&mut self) -> rusqlite::Result<()> {
        let cutoff = unix_seconds(self.now).saturating_sub(whole_seconds(self.limits.session_age));
        let old = self
            .transaction
            .prepare_cached("DELETE FROM session WHERE last_seen < ?")?
            .execute([cutoff])?;
        let excess = self
            .transaction
            .prepare_cached(
                "DELETE FROM session WHERE id IN
                 (SELECT id FROM session ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
            )?
            .execute([to_sql(self.limits.sessions)])?;
        self.deleted_rows(old + excess);
        Ok(())
    }
}
