//! Which part of the store is asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Params;

/// A part of the store; by default all of it.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this measurement, by its full name.
    pub measurement: Option<String>,
    /// Only this session.
    pub session: Option<String>,
    /// Only what was measured then or later.
    pub since: Option<SystemTime>,
}

impl Selection {
    /// What stands for `?1` to `?3`.
    pub(super) fn parameters(&self) -> impl Params + '_ {
        let since = self.since.map_or(i64::MIN, |since| {
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
        (&self.measurement, &self.session, since)
    }
}
