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
    sync::{
        Arc, Mutex, PoisonError, TryLockError as TryLockMutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{deletion, process::Owner};

/// The most processes that share a data folder.
const PROCESSES_LIMIT: usize = 64;

/// What numbered folders are called.
const PREFIX: &str = "tor-";

/// The file in each that is locked by whoever uses it.
pub(crate) const LOCK: &str = "lock";

/// The data folder as one agent uses it, by Tor and by the ledger alike.
#[derive(Debug)]
pub(crate) struct Folder {
    data_dir: PathBuf,
    claimed: Mutex<Option<Arc<Claimed>>>,
    /// Nothing is claimed any more.
    given_up: AtomicBool,
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
        Self { data_dir, claimed: Mutex::new(None), given_up: AtomicBool::new(false) }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// This agent's numbered folder, the same one each time.
    ///
    /// # Errors
    /// Those of the file system; and always after [`Folder::let_go`].
    pub(crate) fn claim(&self) -> io::Result<Arc<Claimed>> {
        self.not_given_up()?;
        let claimed = self.claim_first()?;
        if let Err(error) = self.not_given_up() {
            // While it was made, on a slow disk: whoever deleted the others didn't see it.
            self.let_go();
            drop(claimed);
            deletion::delete(&self.data_dir, Duration::ZERO);
            return Err(error);
        }
        Ok(claimed)
    }

    fn claim_first(&self) -> io::Result<Arc<Claimed>> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claimed) = &*claimed {
            return Ok(Arc::clone(claimed));
        }
        let first = Arc::new(Claimed::first_free(&self.data_dir)?);
        *claimed = Some(Arc::clone(&first));
        Ok(first)
    }

    /// Gives the numbered folder up for good, once whoever else holds it does so, too. Waits for no disk.
    pub(crate) fn let_go(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        match self.claimed.try_lock() {
            Ok(mut claimed) => *claimed = None,
            Err(TryLockMutex::Poisoned(claimed)) => *claimed.into_inner() = None,
            // Whoever claims it now looks afterwards.
            Err(TryLockMutex::WouldBlock) => {}
        }
    }

    /// Where this agent's numbered folder is, if it has one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        Some(claimed.as_ref()?.path().to_owned())
    }

    fn not_given_up(&self) -> io::Result<()> {
        match self.given_up.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the data folder was given up")),
            false => Ok(()),
        }
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
    fn p1_a_folder_that_was_given_up_is_never_made_again() {
        let data_dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(data_dir.path().to_owned());
        let path = folder.claim().unwrap().path().to_owned();
        {
            // A disk hangs while it is claimed.
            let _held = folder.claimed.lock().unwrap();
            folder.let_go();
        }
        assert!(folder.claim().is_err(), "it was claimed again");
        folder.let_go();
        deletion::delete(data_dir.path(), Duration::ZERO);
        assert!(folder.claim().is_err() && !path.exists(), "it is there again");
    }

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
