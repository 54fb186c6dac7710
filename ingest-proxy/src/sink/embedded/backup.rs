//! A copy of the store as of one moment, made while a proxy goes on writing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::store::FORMAT;
use undertone_storage::{StorageError, StorageErrorKind, failed, open_to_read};

/// Copies the store in `data_dir` to a new file of mode 0600, and returns its size in bytes. The copy is
/// a store by itself, without a log beside it, and is on the disk when this returns.
///
/// # Errors
/// If there is no store, a newer version wrote it, or it is damaged; if `file` exists or can't be
/// written. What was begun is removed.
pub fn backup(data_dir: &Path, file: &Path) -> Result<u64, StorageError> {
    let store = open_to_read(&data_dir.join(FORMAT.name), &FORMAT)?;
    let Some(target) = file.to_str() else {
        return Err(StorageError::new(StorageErrorKind::Io, "the file's name is not UTF-8"));
    };
    // SQLite takes an empty file as if there were none, and keeps its mode.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "the file exists, and a backup overwrites nothing: name another, or move it away"
            }
            _ => "cannot create the file",
        };
        StorageError::new(StorageErrorKind::Io, what).with_source(error)
    })?;
    let copied = store
        .execute("VACUUM INTO ?", [target])
        .map_err(failed("cannot copy the store"))
        .and_then(|_| synced(file).map_err(unsynced));
    if copied.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(file);
    }
    copied
}

/// SQLite leaves that to whoever wants the copy to last.
fn synced(file: &Path) -> io::Result<u64> {
    let copy = File::open(file)?;
    copy.sync_all()?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(copy.metadata()?.len())
}

fn unsynced(error: io::Error) -> StorageError {
    StorageError::new(StorageErrorKind::Io, "cannot bring the copy to the disk").with_source(error)
}
