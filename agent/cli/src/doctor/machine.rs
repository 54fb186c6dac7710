//! What can be seen without a network: the clock and the data folder.

use std::{
    env, fs,
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    time::{Duration, SystemTime},
};

use super::Finding;
use crate::cost::readable;

/// File systems and clocks may differ by this.
const CLOCK_SLACK: Duration = Duration::from_secs(3_600);
/// Tor's directory and its state take a tenth of it, the ledger two thirds at most.
const SPACE_BYTES: u64 = 100_000_000;
/// What an agent holds while it runs, in the folder that it takes first.
const LOCK: &str = "tor-0/lock";

/// Tor and the points' times need the right one. It can't be behind what was written here.
pub(super) fn clock(files: &[PathBuf]) -> Finding {
    let own = env::current_exe().ok();
    let written = files.iter().chain(&own).filter_map(|file| {
        let modified = fs::metadata(file).ok()?.modified().ok()?;
        Some((modified, file))
    });
    behind(SystemTime::now(), written.max())
}

fn behind(now: SystemTime, newest: Option<(SystemTime, &PathBuf)>) -> Finding {
    match newest {
        Some((written, file)) if now + CLOCK_SLACK < written => Finding::Fails(format!(
            "it is behind: {} was written in what it calls the future. Set it, or let NTP set it; Tor \
             doesn't work with a wrong clock, and points get wrong times",
            file.display()
        )),
        _ => Finding::Ok("not behind the newest file here".to_owned()),
    }
}

/// Whether it can be written, has room, and who has it.
pub(super) fn data_folder(folder: &Path) -> Finding {
    if let Err(error) = write_to(folder) {
        return Finding::Fails(format!(
            "{}: {error}; make it this user's, or set `data_dir`",
            folder.display()
        ));
    }
    match free_bytes(folder) {
        Ok(free) if free < SPACE_BYTES => {
            return Finding::Fails(format!(
                "{} has {} left, and up to {} may be needed",
                folder.display(),
                readable(free as f64),
                readable(SPACE_BYTES as f64)
            ));
        }
        Ok(_) => {}
        Err(error) => return Finding::Fails(format!("{}: {error}", folder.display())),
    }
    let in_use = if is_locked(&folder.join(LOCK)) { "; an agent uses it now" } else { "" };
    Finding::Ok(format!("{} can be written{in_use}", folder.display()))
}

/// Makes the folder as an agent would, and a file in it that is gone afterwards.
fn write_to(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("doctor-{}", process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(&[0; 4_096]).and_then(|()| file.sync_all());
    written.and(fs::remove_file(&path))
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(folder)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

fn is_locked(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_written_to_and_left_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        assert!(matches!(data_folder(&folder), Finding::Ok(text) if !text.contains("an agent")));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);

        fs::create_dir(folder.join("tor-0")).unwrap();
        let lock = File::create(folder.join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert!(matches!(data_folder(&folder), Finding::Ok(text) if text.contains("an agent")));

        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(data_folder(&file.join("data")), Finding::Fails(_)));
    }

    #[test]
    fn a_clock_is_behind_what_was_written() {
        let (now, file) = (SystemTime::now(), PathBuf::from("file"));
        for (ahead, fine) in [(0, true), (3_000, true), (7_200, false)] {
            let written = now + Duration::from_secs(ahead);
            let finding = behind(now, Some((written, &file)));
            assert_eq!(matches!(finding, Finding::Ok(_)), fine, "{ahead}");
        }
    }
}
