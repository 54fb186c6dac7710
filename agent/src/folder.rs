//! A data folder that several processes of one program may name.
//!
//! Each takes the first numbered folder in it that no other process holds, so every process has a
//! Tor and a ledger of its own and a later start finds the state of an earlier one. A lock ends with
//! its process; where that ends without dropping its agent, with the last child that it forked and that
//! hasn't become another program. Nothing is made before it is needed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::process::Owner;

/// The most processes that share a data folder.
const PROCESSES_LIMIT: usize = 64;

/// What numbered folders are called.
pub(crate) const PREFIX: &str = "tor-";

/// The file in each that is locked by whoever uses it.
pub(crate) const LOCK: &str = "lock";

/// The data folder as one agent uses it, by Tor and by the ledger alike.
#[derive(Debug)]
pub(crate) struct Folder {
    data_dir: PathBuf,
    claimed: Mutex<Option<Arc<Claimed>>>,
}

/// A folder that is this process's alone while this value lives.
#[derive(Debug)]
pub(crate) struct Claimed {
    path: PathBuf,
    lock: File,
    owner: Owner,
}

impl Folder {
    /// Touches nothing yet.
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, claimed: Mutex::new(None) }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// This agent's numbered folder, the same one each time.
    pub(crate) fn claim(&self) -> io::Result<Arc<Claimed>> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claimed) = &*claimed {
            return Ok(Arc::clone(claimed));
        }
        let first = Arc::new(Claimed::first_free(&self.data_dir)?);
        *claimed = Some(Arc::clone(&first));
        Ok(first)
    }

    /// Gives the numbered folder up, once whoever else holds it does so, too.
    pub(crate) fn let_go(&self) {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Claimed {
    /// Takes the first free folder in `data_dir`, which is made if it doesn't exist (mode 0700).
    pub(crate) fn first_free(data_dir: &Path) -> io::Result<Self> {
        for number in 0..PROCESSES_LIMIT {
            let path = data_dir.join(format!("{PREFIX}{number}"));
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600);
            let lock = match options.open(path.join(LOCK)) {
                // The folder was deleted between its being made and looked into: the next number is free.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock?,
            };
            match lock.try_lock() {
                Ok(()) if is_at(&lock, &path.join(LOCK)) => {
                    return Ok(Self { path: fs::canonicalize(path)?, lock, owner: Owner::this() });
                }
                // It was deleted between its being opened and locked: the next number is free.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "more than {PROCESSES_LIMIT} processes share this data folder"
        )))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        // A lock lasts for as long as any process has the file open: a child that was forked would keep the
        // folder, and must not give up what is its parent's.
        if self.owner.is_here() {
            let _ = self.lock.unlock();
        }
    }
}

/// Whether a folder is called as [`Claimed::first_free`] calls them, in no other spelling.
pub(crate) fn is_numbered(name: &str) -> bool {
    let number = name.strip_prefix(PREFIX).and_then(|rest| rest.parse::<usize>().ok());
    number.is_some_and(|n| n < PROCESSES_LIMIT && name == format!("{PREFIX}{n}"))
}

/// Whether this open file still is the one of this name.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let identity = |of: fs::Metadata| (of.dev(), of.ino());
    let (open, named) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((open, named), (Ok(open), Ok(named)) if open == named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_a_child_keeps_no_folder_of_its_parents() {
        let data_dir = tempfile::tempdir().unwrap();
        let claimed = Claimed::first_free(data_dir.path()).unwrap();
        // What a fork leaves a child with.
        let child = claimed.lock.try_clone().unwrap();
        let path = claimed.path().to_owned();
        drop(claimed);
        assert_eq!(Claimed::first_free(data_dir.path()).unwrap().path(), path, "it is free");
        drop(child);
    }

    #[test]
    fn each_holder_has_a_folder_of_its_own_and_finds_it_again() {
        let data_dir = tempfile::tempdir().unwrap();
        let first = Claimed::first_free(data_dir.path()).unwrap();
        let second = Claimed::first_free(data_dir.path()).unwrap();
        assert_ne!(first.path(), second.path());
        let path = first.path().to_owned();
        drop(first);
        assert_eq!(Claimed::first_free(data_dir.path()).unwrap().path(), path);
    }
}
