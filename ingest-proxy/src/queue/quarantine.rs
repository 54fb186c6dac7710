//! What sinks refused, as the operator sees it: looked at, put back, or deleted.

use serde::{Deserialize, Serialize};

use super::commit::Command;
use super::{Quarantined, Queue};
use undertone_storage::StorageError;

/// Which refused lines are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// Only those of this sink.
    pub sink: Option<String>,
    /// Only those with these numbers; all if there are none.
    pub ids: Vec<i64>,
}

impl Which {
    pub(super) fn means(&self, id: i64, sink: &str) -> bool {
        self.sink.as_deref().is_none_or(|name| name == sink)
            && (self.ids.is_empty() || self.ids.contains(&id))
    }
}

/// A refused line that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number, which no other line ever gets.
    pub id: i64,
    /// When it was refused, in seconds since 1970.
    pub refused_at: i64,
    /// Which sink refused it, why, and the line.
    pub line: Quarantined,
}

impl Queue {
    /// Up to `limit` of the lines that sinks refused, oldest first, from the number behind `after`.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn kept(
        &self,
        which: Which,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Kept>, StorageError> {
        self.ask(|reply| Command::Kept { which, after, limit, reply }).await
    }

    /// Puts refused lines back, behind all that waits, each for the sink alone that refused it. All of
    /// them or none, in one commit; returns how many.
    ///
    /// # Errors
    /// If the commit failed, a sink is not registered any more, or there is no room in the queue.
    pub async fn put_back(&self, which: Which) -> Result<u64, StorageError> {
        self.ask(|reply| Command::PutBack(which, reply)).await
    }

    /// Deletes refused lines, also from the disk (invariant S7); returns how many.
    ///
    /// # Errors
    /// If the commit failed.
    pub async fn delete_kept(&self, which: Which) -> Result<u64, StorageError> {
        self.ask(|reply| Command::DeleteKept(which, reply)).await
    }
}
