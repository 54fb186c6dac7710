//! One process changes a data folder's identity or serves it at a time.
//!
//! The lock is the kernel's: it ends with the process, however that ends, and the file stays.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use undertone_storage::make_private_folder;

use crate::error::{Error, ErrorKind};

const FILE: &str = "lock";

/// Held as long as this lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder, which is made if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if another process has it, or the disk refuses.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        let failed = || Error::new(ErrorKind::Storage, format!("lock {}", data_dir.display()));
        make_private_folder(data_dir).map_err(|error| failed().because(error))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(data_dir.join(FILE)).map_err(|error| failed().because(error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(failed().because("a proxy runs on this data folder: stop it first"))
            }
            Err(TryLockError::Error(error)) => Err(failed().because(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = FolderLock::take(&data).unwrap();
        let error = anyhow::Error::from(FolderLock::take(&data).unwrap_err());
        assert!(format!("{error:#}").contains("a proxy runs on this data folder"), "{error:#}");
        drop(first);
        FolderLock::take(&data).unwrap();
    }
}
