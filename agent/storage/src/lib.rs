//! How both the agent and the ingest proxy keep what must survive: SQLite files. Not for use by others:
//! its types are rusqlite's.
//!
//! - [`open`], [`open_to_read`]: a [`FileFormat`], private, durable, migrated, checked;
//! - [`truncate_wal`], [`release_free_pages`]: what was deleted is gone from the disk;
//! - [`StorageError`]: why not.

mod error;
mod file;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

pub use error::{StorageError, StorageErrorKind, failed};
pub use file::{
    FileFormat, from_sql, make_private_folder, open, open_to_read, release_free_pages, sync_folder,
    to_sql, truncate_wal, unix_seconds, whole_seconds,
};

/// The wall clock that a queue or a store takes its time from; injected, so that tests need not
/// wait for days.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;
