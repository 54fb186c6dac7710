//! Deletes what agents keep in a data folder, for whom says no (invariant P1).
//!
//! It makes nothing: it opens, locks and unlinks. A numbered folder is deleted while its lock is held, so
//! that no process loses what it uses; what isn't an agent's stays.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What the numbered folders of processes are called before their number.
const FOLDER: &str = "tor-";
/// The file in each that is locked by whoever uses it.
const LOCK: &str = "lock";
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
            Ok(true) => deleted.deleted.push(path),
            // Its user had been told to delete it, too, and was faster.
            Err(_) if !path.exists() => deleted.deleted.push(path),
            Ok(false) | Err(_) => deleted.left.push(path),
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
    let ours =
        |name: &str| name.strip_prefix(FOLDER).is_some_and(|rest| rest.parse::<u8>().is_ok());
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(ours))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Deletes one folder once it gets its lock; whether it did before `end`.
fn delete_locked(folder: &Path, end: Instant) -> io::Result<bool> {
    // None in a folder that an earlier deletion has not finished.
    let _lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => loop {
            match lock.try_lock() {
                Ok(()) => break Some(lock),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => return Ok(false),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(RETRY),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // The lock goes last: where this ends halfway, the folder still is one that can be locked.
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(folder)?;
    Ok(true)
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
            &["tor-0/lock", "tor-0/state/guards", "tor-1/cache/half", "tor-x/lock", "notes"],
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
