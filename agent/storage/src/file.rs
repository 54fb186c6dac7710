//! Opening SQLite files the way all of ours are opened: private, durable, and forgetting.
//!
//! Mode 0600 in a folder of mode 0700; WAL with `synchronous=FULL`, so that what is committed
//! survives a power cut; `secure_delete`, incremental vacuum and a truncated WAL, so that what is
//! deleted is gone from the disk. The format's version is `user_version`; an older one is migrated, in one
//! transaction. A file that is corrupt is set aside and a new one started.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OpenFlags};

use crate::error::{StorageError, StorageErrorKind, failed};

/// One kind of database file.
pub struct FileFormat {
    /// The file's name inside the data folder.
    pub name: &'static str,
    /// What makes each version of the layout from the one before, the first from an empty file. Their
    /// number is the version; what has been released is never changed, only followed by another.
    pub migrations: &'static [&'static str],
    /// Whether one process may have it open at a time; else others may read.
    pub exclusive: bool,
}

impl FileFormat {
    /// The version that this program writes.
    fn version(&self) -> usize {
        self.migrations.len()
    }
}

/// Opens or creates a file in `folder`, migrates an older one, and sets a corrupt one aside first.
///
/// # Errors
/// If the disk refuses, another process has an exclusive file open, or a newer version wrote it.
pub fn open(
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

/// Opens an existing file for reading only, also while another process writes to it.
///
/// # Errors
/// If the file can't be read, or has another version than this program writes.
pub fn open_to_read(path: &Path, format: &FileFormat) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(failed("cannot open the database for reading"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed("cannot set a timeout"))?;
    let version = check_version(&connection, format)?;
    if version < format.version() {
        return Err(StorageError::new(
            StorageErrorKind::OlderFormat,
            format!(
                "{} has format {version}, this program reads {}: it is migrated when the program that \
                 writes it is started the next time",
                format.name,
                format.version()
            ),
        ));
    }
    Ok(connection)
}

/// Writes the WAL back and empties it. `false`: a reader is in the way; try again later.
///
/// # Errors
/// If the disk refuses.
pub fn truncate_wal(connection: &Connection) -> Result<bool, StorageError> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
        .map_err(failed("cannot write the log back"))
}

/// Gives pages that are no longer used back to the file system.
///
/// # Errors
/// If the disk refuses.
pub fn release_free_pages(connection: &Connection) -> Result<(), StorageError> {
    let run = || {
        let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    };
    run().map_err(failed("cannot release free pages"))
}

/// Whole seconds since 1970; 0 before.
pub fn unix_seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, whole_seconds)
}

/// Whole seconds, as SQLite stores numbers.
pub fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A count as SQLite stores numbers.
pub fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it was stored.
pub fn from_sql(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn open_file(path: &Path, format: &FileFormat) -> Result<Connection, StorageError> {
    make_private_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(failed("cannot open the database"))?;
    let version = prepare(&connection, format)?;
    migrate(&mut connection, format, version).map_err(failed("cannot migrate the tables"))?;
    Ok(connection)
}

/// Sets what holds for a connection or for ever, and checks the content. The order matters: nothing is changed before the content is known to be sound and ours, and `auto_vacuum` comes
/// before the first page.
fn prepare(connection: &Connection, format: &FileFormat) -> Result<usize, StorageError> {
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

fn check_version(connection: &Connection, format: &FileFormat) -> Result<usize, StorageError> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed("cannot read the database's version"))?;
    // Ours are never negative.
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > format.version() {
        return Err(StorageError::new(
            StorageErrorKind::NewerFormat,
            format!(
                "{} has format {version}, this program knows up to {}: \
                 use the newer program that wrote it, or move the file away",
                format.name,
                format.version()
            ),
        ));
    }
    Ok(version)
}

/// All or nothing: a file has one version or another, also after a power cut.
fn migrate(
    connection: &mut Connection,
    format: &FileFormat,
    version: usize,
) -> rusqlite::Result<()> {
    let missing = format.migrations.get(version..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", to_sql(format.version() as u64))?;
    transaction.commit()?;
    if version > 0 {
        tracing::info!(file = format.name, from = version, to = format.version(), "migrated");
    }
    Ok(())
}

/// Some pragmas answer with a row and some don't; neither is of interest.
fn pragma(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, name, value)
}

/// Makes a folder, with those above it that don't exist, for nobody else to look into. Its name is on the disk, too,
/// when this returns: what is synced in a folder that has no name after a power cut is lost.
///
/// # Errors
/// If the disk refuses.
pub fn make_private_folder(folder: &Path) -> Result<(), StorageError> {
    let failed = StorageError::io("cannot create the data folder");
    let made: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(&failed)?;
    for new in made.iter().rev() {
        sync_folder(folder_of(new)).map_err(&failed)?;
    }
    if made.is_empty() {
        // Whoever made it may have been killed before it was synced. A folder above that may not be read was there.
        match sync_folder(folder_of(folder)) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(failed(error)),
            _ => Ok(()),
        }
    } else {
        Ok(())
    }
}

/// Makes sure that the names in a folder are on the disk: a file that was made or moved is lost without it.
///
/// # Errors
/// If the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// The folder that a file or folder is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
