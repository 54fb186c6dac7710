//! Deletes what agents keep in a data folder, for whom says no (invariant P1).
//!
//! It makes nothing: it opens, locks and unlinks. A numbered folder is deleted while its lock is held, so
//! that no process loses what it uses. What isn't an agent's stays, also in a folder that is called like one
//! of an agent's: of a tor's data folder `tor-1` nothing is touched.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    folder::{LOCK, is_at, is_numbered},
    spool,
};

/// What agents make in a numbered folder beside its lock: Tor's state, its cache, the ledger, and the spool.
const OWN: [&str; 4] = ["state", "cache", "ledger", spool::disk::FOLDER];
/// How long to wait before a lock that is held is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// What became of what agents had left in a data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// What is gone.
    pub deleted: Vec<PathBuf>,
    /// What another process still uses, or can't be deleted.
    pub left: Vec<PathBuf>,
}

/// Deletes what agents keep in `data_dir`, and that folder itself if nothing else is in it. For a folder that
/// another process uses it waits until `limit` is over.
///
/// Makes no file, no thread and no connection. Whether it should be done, the caller knows.
pub fn delete(data_dir: &Path, limit: Duration) -> Deleted {
    let end = Instant::now() + limit.min(Duration::from_secs(3_600));
    let mut deleted = Deleted::default();
    for path in numbered(data_dir) {
        match delete_locked(&path, end) {
            Ok(Some(true)) => deleted.deleted.push(path),
            Ok(None) => {}
            // Its user had been told to delete it, too, and was faster.
            Ok(Some(false)) | Err(_) if !path.exists() => deleted.deleted.push(path),
            Ok(Some(false)) | Err(_) => deleted.left.push(path),
        }
    }
    // Which fails where anything is in it.
    if !deleted.deleted.is_empty() && fs::remove_dir(data_dir).is_ok() {
        deleted.deleted.push(data_dir.to_owned());
    }
    deleted
}

/// The numbered folders, in the order of their names.
fn numbered(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(data_dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_numbered))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Deletes what is an agent's in one folder once it gets its lock, and the folder; whether it did before `end`.
/// None if nothing in it is an agent's.
fn delete_locked(folder: &Path, end: Instant) -> io::Result<Option<bool>> {
    let path = folder.join(LOCK);
    let lock = loop {
        // An agent's is a file. A pipe would block whoever opens it.
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Ok(None),
            // An earlier deletion ended between the lock and the folder; what else has no lock isn't an agent's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(fs::remove_dir(folder).is_ok().then_some(true));
            }
            Err(error) => return Err(error),
        }
        let lock = File::open(&path)?;
        match lock.try_lock() {
            Ok(()) if is_at(&lock, &path) => break lock,
            // Somebody else has deleted it meanwhile, and it may be there again.
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => {
                let own = OWN.iter().any(|name| is_folder(&folder.join(name)));
                return Ok(own.then_some(false).or_else(|| only_lock(folder)));
            }
            Err(fs::TryLockError::WouldBlock) => thread::sleep(RETRY),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    };
    let deleted = delete_own(folder);
    // Where a child that was forked meanwhile shares it, closing it is not enough.
    let _ = lock.unlock();
    deleted
}

/// For whoever holds the lock, which goes last: where this ends halfway, the folder still is one that can be
/// locked.
fn delete_own(folder: &Path) -> io::Result<Option<bool>> {
    let mut own = false;
    for path in OWN.iter().map(|name| folder.join(name)).filter(|path| is_folder(path)) {
        own = true;
        fs::remove_dir_all(path)?;
    }
    if only_lock(folder).is_none() {
        // Somebody else's, and so may be the lock.
        return Ok(own.then_some(false));
    }
    fs::remove_file(folder.join(LOCK))?;
    // Which fails where anything has come into it.
    fs::remove_dir(folder)?;
    Ok(Some(true))
}

/// Whether it is a folder itself, and no link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Not deleted yet, where nothing but a lock is in the folder.
fn only_lock(folder: &Path) -> Option<bool> {
    let names = fs::read_dir(folder).ok()?.map(|entry| entry.map(|entry| entry.file_name()));
    names.into_iter().all(|name| name.is_ok_and(|name| name == LOCK)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(data_dir: &Path, names: &[&str]) {
        for name in names {
            let path = data_dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "content").unwrap();
        }
    }

    #[test]
    fn p1_a_deletion_takes_what_is_an_agents_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        assert_eq!(delete(&data_dir, Duration::ZERO), Deleted::default());
        made(
            &data_dir,
            &[
                "tor-0/lock",
                "tor-0/state/guards",
                "tor-1/lock",
                "tor-1/cache/half",
                "tor-x/lock",
                "notes",
            ],
        );
        let found = delete(&data_dir, Duration::ZERO);
        assert_eq!(found.deleted, [data_dir.join("tor-0"), data_dir.join("tor-1")]);
        assert!(found.left.is_empty());
        assert!(data_dir.join("notes").exists() && data_dir.join("tor-x").exists());

        fs::remove_dir_all(&data_dir).unwrap();
        made(&data_dir, &["tor-0/lock"]);
        assert_eq!(delete(&data_dir, Duration::ZERO).deleted.last(), Some(&data_dir));
        assert!(!data_dir.exists());
    }

    #[test]
    fn p1_a_deletion_leaves_what_is_only_called_like_an_agents() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        let others = [
            // A tor's data folder, which locks its file in another way.
            "tor-1/lock",
            "tor-1/state",
            "tor-1/cached-certs",
            "tor-1/keys/ed25519_master_id",
            "tor-2/state/notes",
            "tor-007/lock",
            "tor-+3/lock",
            "tor-64/lock",
            "tor-200/lock",
        ];
        made(data_dir, &others);
        fs::create_dir(data_dir.join("tor-4")).unwrap();
        let pipe = data_dir.join("tor-5/lock");
        fs::create_dir(pipe.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // What is an agent's in it goes; the rest, and the folder, stay.
        made(data_dir, &["tor-6/lock", "tor-6/state/guards", "tor-6/notes"]);

        let found = delete(data_dir, Duration::ZERO);
        assert_eq!(found.deleted, [data_dir.join("tor-4")], "an empty one is of no use to anybody");
        assert_eq!(found.left, [data_dir.join("tor-6")]);
        for other in others {
            assert!(data_dir.join(other).is_file(), "{other} isn't an agent's");
        }
        assert!(pipe.exists() && data_dir.join("tor-6/notes").exists());
        assert!(!data_dir.join("tor-6/state").exists());
    }

    #[test]
    fn p1_a_deletion_leaves_what_is_used_and_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path(), &["tor-0/lock", "tor-0/state/guards"]);
        let used = File::open(folder.path().join("tor-0/lock")).unwrap();
        used.lock().unwrap();
        assert_eq!(delete(folder.path(), Duration::ZERO).left, [folder.path().join("tor-0")]);
        assert!(folder.path().join("tor-0/state/guards").exists(), "it was used");
        let waiting = {
            let folder = folder.path().to_owned();
            thread::spawn(move || delete(&folder, Duration::from_secs(60)))
        };
        drop(used);
        assert!(waiting.join().unwrap().left.is_empty());
    }
}
