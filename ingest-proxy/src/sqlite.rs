//! Opening SQLite files the way all of the proxy's are opened: private, durable, and forgetting.
//!
//! Mode 0600 in a folder of mode 0700; WAL with `synchronous=FULL`, so that what is committed
//! survives a power cut; `secure_delete`, incremental vacuum and a truncated WAL, so that what is
//! deleted is gone from the disk. The format's version is `user_version`. A file that is corrupt is
//! set aside and a new one started. The only module with SQL that belongs to no table.

use std::borrow::Cow;
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// The wall clock that a queue or a store takes its time from; injected, so that tests need not
/// wait for days.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

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
    /// A point can't be stored: it has no timestamp, or line protocol can't express it.
    InvalidPoint,
    /// No sink of that name is registered.
    UnknownSink,
    /// It was closed.
    Closed,
}

impl StorageError {
    pub(crate) fn new(kind: StorageErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
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

    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn closed() -> Self {
        Self::new(StorageErrorKind::Closed, "the database was closed")
    }

    fn io(context: &'static str) -> impl Fn(io::Error) -> Self {
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
pub(crate) fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> StorageError {
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

/// One kind of database file.
pub(crate) struct FileFormat {
    /// The file's name inside the data folder.
    pub(crate) name: &'static str,
    /// The version of the layout below.
    pub(crate) version: i64,
    /// What creates the layout in an empty file.
    pub(crate) schema: &'static str,
    /// Whether one process may have it open at a time; else others may read.
    pub(crate) exclusive: bool,
}

/// Opens or creates a file in `folder`; sets a corrupt one aside first.
pub(crate) fn open(
    folder: &Path,
    format: &FileFormat,
    now: SystemTime,
) -> Result<Connection, StorageError> {
    make_private_folder(folder)?;
    let path = folder.join(format.name);
    match open_file(&path, format) {
        Err(error) if error.kind() == StorageErrorKind::Corrupt => {
            let aside = set_aside(&path, now)?;
            tracing::error!(
                file = format.name,
                aside = aside.file_name().and_then(|name| name.to_str()),
                "the database file is corrupt: it was set aside and a new one started; \
                 what waited in it is not lost from the disk, but will not be processed",
            );
            open_file(&path, format)
        }
        other => other,
    }
}

/// Opens an existing file for reading only, also while the proxy writes to it.
pub(crate) fn open_to_read(path: &Path, format: &FileFormat) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(failed("cannot open the database for reading"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("cannot set a timeout"))?;
    check_version(&connection, format)?;
    Ok(connection)
}

/// Writes the WAL back and empties it. `false`: a reader is in the way; try again later.
pub(crate) fn truncate_wal(connection: &Connection) -> Result<bool, StorageError> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
        .map_err(failed("cannot write the log back"))
}

/// Gives pages that are no longer used back to the file system.
pub(crate) fn release_free_pages(connection: &Connection) -> Result<(), StorageError> {
    let run = || {
        let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    };
    run().map_err(failed("cannot release free pages"))
}

/// Whole seconds since 1970; 0 before.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, whole_seconds)
}

/// Whole seconds, as SQLite stores numbers.
pub(crate) fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A count as SQLite stores numbers.
pub(crate) fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it was stored.
pub(crate) fn from_sql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn open_file(path: &Path, format: &FileFormat) -> Result<Connection, StorageError> {
    make_private_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(failed("cannot open the database"))?;
    let version = prepare(&connection, format)?;
    if version == 0 {
        create(&mut connection, format).map_err(failed("cannot create the tables"))?;
    }
    Ok(connection)
}

/// Sets what holds for a connection or for ever, and checks the content. The order matters: nothing is changed before the content is known to be sound and ours, and `auto_vacuum` comes
/// before the first page.
fn prepare(connection: &Connection, format: &FileFormat) -> Result<i64, StorageError> {
    let wrong = failed("cannot prepare the database");
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&wrong)?;
    if format.exclusive {
        pragma(connection, "locking_mode", "EXCLUSIVE").map_err(&wrong)?;
    }
    let version = check_version(connection, format)?;
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(&wrong)?;
    if verdict != "ok" {
        return Err(StorageError::new(
            StorageErrorKind::Corrupt,
            "the database failed SQLite's check",
        ));
    }
    if version == 0 {
        pragma(connection, "auto_vacuum", "INCREMENTAL").map_err(&wrong)?;
    }
    pragma(connection, "journal_mode", "WAL").map_err(&wrong)?;
    pragma(connection, "synchronous", "FULL").map_err(&wrong)?;
    pragma(connection, "secure_delete", "ON").map_err(&wrong)?;
    // Sorting must not leave copies in the system's folder for temporary files.
    pragma(connection, "temp_store", "MEMORY").map_err(&wrong)?;
    Ok(version)
}

fn check_version(connection: &Connection, format: &FileFormat) -> Result<i64, StorageError> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed("cannot read the database's version"))?;
    if version > format.version {
        return Err(StorageError::new(
            StorageErrorKind::NewerFormat,
            format!(
                "{} has format {version}, this program knows up to {}: \
                 use the newer program that wrote it, or move the file away",
                format.name, format.version
            ),
        ));
    }
    Ok(version)
}

fn create(connection: &mut Connection, format: &FileFormat) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(format.schema)?;
    transaction.pragma_update(None, "user_version", format.version)?;
    transaction.commit()
}

/// Some pragmas answer with a row and some don't; neither is of interest.
fn pragma(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, name, value)
}

/// Makes a folder, with those above it that don't exist, for nobody else to look into.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), StorageError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(StorageError::io("cannot create the data folder"))
}

/// SQLite gives its side files the mode of the main one.
fn make_private_file(path: &Path) -> Result<(), StorageError> {
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(StorageError::io("cannot create the database file"))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(StorageError::io("cannot make the database file private"))
}

fn set_aside(path: &Path, now: SystemTime) -> Result<PathBuf, StorageError> {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    // Never over an earlier one.
    let suffix = (unix_seconds(now)..)
        .map(|seconds| format!(".corrupt-{seconds}"))
        .find(|suffix| !with(suffix).exists())
        .unwrap_or_default();
    for side in ["-wal", "-shm"] {
        match fs::rename(with(side), with(&format!("{suffix}{side}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io("cannot set the corrupt database aside")(error));
            }
            _ => {}
        }
    }
    let aside = with(&suffix);
    fs::rename(path, &aside).map_err(StorageError::io("cannot set the corrupt database aside"))?;
    Ok(aside)
}

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
