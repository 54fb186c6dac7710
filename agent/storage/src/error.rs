//! Why something durable could not be read or written.

use std::{borrow::Cow, error::Error, io, sync::Arc};

use rusqlite::ErrorCode;

/// Why something durable could not be read or written.
///
/// Its text is for the operator; nothing that a client sent is in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{context}")]
pub struct StorageError {
    kind: StorageErrorKind,
    context: Cow<'static, str>,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of failure a [`StorageError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// The disk refused to read or write.
    Io,
    /// The disk is full.
    Full,
    /// Another process has the file open.
    Locked,
    /// The file's content is damaged. It is set aside the next time it is opened.
    Corrupt,
    /// A newer version of this program wrote the file.
    NewerFormat,
    /// An older version wrote the file, and who only reads can't migrate it.
    OlderFormat,
    /// A point can't be stored: it has no timestamp, or line protocol can't express it.
    InvalidPoint,
    /// No sink of that name is registered.
    UnknownSink,
    /// It was closed.
    Closed,
}

impl StorageError {
    /// An error without a cause below it.
    pub fn new(kind: StorageErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> StorageErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            StorageErrorKind::Io | StorageErrorKind::Full | StorageErrorKind::Locked
        )
    }

    /// With what caused it.
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// That of every call after the last.
    pub fn closed() -> Self {
        Self::new(StorageErrorKind::Closed, "the database was closed")
    }

    pub(crate) fn io(context: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| {
            let kind = match source.kind() {
                io::ErrorKind::StorageFull => StorageErrorKind::Full,
                _ => StorageErrorKind::Io,
            };
            Self::new(kind, context).with_source(source)
        }
    }
}

/// Turns a failure of SQLite into an error that says what was being done.
pub fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> StorageError {
    move |source| {
        let kind = match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StorageErrorKind::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StorageErrorKind::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StorageErrorKind::Corrupt,
            _ => StorageErrorKind::Io,
        };
        StorageError::new(kind, doing).with_source(source)
    }
}
