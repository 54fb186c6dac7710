//! A ledger on disk: a folder of files in a process's own numbered folder, a new one each hour and each
//! start, deleted as a whole.
//!
//! A file is deleted a day after it was begun, so that nothing in it is older. How long ago that is says
//! the agent's own clock for its own files, and the wall clock for those of others, once a push was answered:
//! Tor doesn't work by a clock that is far off. A file from the future has a wrong time, and is deleted, too.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    AGE_LIMIT, LOOK,
    book::Attempt,
    record::{self, Record},
    sent::{Outcome, Sent, SentParcel, begun},
};
use crate::{
    clock::Moment,
    folder::{Folder, is_numbered},
};

/// The folder's name.
const FOLDER: &str = "ledger";
/// How files' names end.
pub(super) const SUFFIX: &str = ".ledger";
/// What a process's files may take together, in bytes.
const BYTES_LIMIT: u64 = 64 * 1024 * 1024;
/// After so many bytes another file is begun.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// After so long, too.
const FILE_TIME: Duration = Duration::from_secs(3_600);
/// A clock may be set back so far, and nothing is deleted for it.
const FUTURE: Duration = AGE_LIMIT;
/// If a file's name is further from the time than this, the clock was set since: others must find what comes
/// next under the right time.
const CLOCK_SET: Duration = FILE_TIME.saturating_add(LOOK);

/// The wall clock.
type Wall = fn() -> SystemTime;

#[derive(Debug)]
pub(super) struct Disk {
    folder: Arc<Folder>,
    wall: Wall,
    files: Mutex<Files>,
}

/// What this process has written.
#[derive(Debug, Default)]
struct Files {
    open: Option<Open>,
    /// When each was begun.
    begun: BTreeMap<PathBuf, Moment>,
    /// Whether a push was answered, so that the wall clock can be believed.
    answered: bool,
}

/// The file that is written to.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: Arc<File>,
    next: u32,
}

impl Disk {
    pub(super) fn new(folder: Arc<Folder>, wall: Wall) -> Self {
        Self { folder, wall, files: Mutex::default() }
    }

    /// Makes sure that there is a file to write to.
    pub(super) fn ready(&self, now: Moment) -> io::Result<()> {
        self.sweep(now);
        self.with(|files| files.open(&self.folder, now, (self.wall)()).map(drop))
    }

    /// Writes it down, and waits until the disk has it.
    pub(super) fn attempt(&self, parcel: SentParcel, now: Moment) -> io::Result<Attempt> {
        self.with(|files| {
            let open = files.open(&self.folder, now, (self.wall)())?;
            let (number, file) = (open.next, Arc::clone(&open.file));
            open.next = open.next.wrapping_add(1);
            let record = record::write(&Record::Attempt { number, parcel });
            let before = file.metadata()?.len();
            if let Err(error) = append(&file, &record).and_then(|()| file.sync_data()) {
                // Nothing is written behind what may not be whole.
                if file.set_len(before).is_err() {
                    files.open = None;
                }
                return Err(error);
            }
            Ok(Attempt { number, file: Some(file) })
        })
    }

    pub(super) fn outcome(&self, attempt: &Attempt, outcome: Outcome) -> io::Result<()> {
        let Some(file) = &attempt.file else { return Ok(()) };
        let record = record::write(&Record::Outcome { number: attempt.number, outcome });
        self.with(|files| {
            files.answered |= matches!(outcome, Outcome::Taken | Outcome::Refused);
            append(file, &record)
        })
    }

    /// Deletes what is too old, or too much; of what others wrote what is too old only once a push was
    /// answered, since a machine may start with any time.
    pub(super) fn sweep(&self, now: Moment) {
        let (own, answered) = self.with(|files| (files.begun.clone(), files.answered));
        // A folder that can't be read now is looked at again soon.
        for folder in ledgers(self.folder.data_dir()).unwrap_or_default() {
            let mut bytes = 0;
            let mut files = files_of(&folder).unwrap_or_default();
            // Whatever their names say, its own are newer than what was there before.
            files.sort_by_key(|path| own.get(path).copied());
            let newest = files.last().cloned();
            // From the newest to the oldest.
            for path in files.into_iter().rev() {
                bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
                let too_old = match own.get(&path) {
                    Some(begun) => now.saturating_sub(*begun) + LOOK >= AGE_LIMIT,
                    None => answered && is_too_old(&path, LOOK, (self.wall)()),
                };
                let too_much = bytes > BYTES_LIMIT && newest.as_ref() != Some(&path);
                if (too_old || too_much) && fs::remove_file(&path).is_ok() {
                    self.with(|files| files.begun.remove(&path));
                }
            }
        }
    }

    pub(super) fn read(&self, now: Moment) -> io::Result<Sent> {
        // An agent that is off, or has sent nothing yet, only reads.
        if self.with(|files| !files.begun.is_empty()) {
            self.sweep(now);
        }
        let own = self.with(|files| files.begun.clone());
        read_all(self.folder.data_dir(), &own, (self.wall)())
    }

    /// Gives the folder up for good, and closes its files. A disk that hangs isn't waited for: who writes there
    /// keeps a file, and neither the folder nor its lock.
    pub(super) fn let_go(&self) {
        self.folder.let_go();
        if let Ok(mut files) = self.files.try_lock() {
            *files = Files::default();
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Files) -> T) -> T {
        what(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Files {
    /// The file to write to: a new one if there is none, or if it is too old, too long or gone.
    fn open(&mut self, folder: &Folder, now: Moment, wall: SystemTime) -> io::Result<&mut Open> {
        let usable = self.open.take().filter(|open| {
            let since = self.begun.get(&open.path);
            let young = since.is_some_and(|since| now.saturating_sub(*since) < FILE_TIME);
            let named = begun(&open.path).map(|second| second.abs_diff(seconds(wall)));
            let right = named.is_some_and(|seconds| seconds <= CLOCK_SET.as_secs());
            young
                && right
                && open.file.metadata().is_ok_and(|m| m.nlink() > 0 && m.len() < FILE_BYTES)
        });
        let open = match usable {
            Some(open) => open,
            None => {
                let open = begin(folder, wall)?;
                self.begun.insert(open.path.clone(), now);
                open
            }
        };
        Ok(self.open.insert(open))
    }
}

/// A new file. The folder that it is in must be this process's already.
fn begin(folder: &Folder, wall: SystemTime) -> io::Result<Open> {
    let ledger = folder.claim()?.path().join(FOLDER);
    match DirBuilder::new().mode(0o700).create(&ledger) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let second = seconds(wall);
    let mut number = 0_u32;
    let (path, file) = loop {
        let path = ledger.join(format!("{second:012}-{number:04}{SUFFIX}"));
        let mut options = OpenOptions::new();
        match options.append(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => break (path, file),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => number += 1,
        }
    };
    // Its name must be on the disk as well.
    let begun = append(&file, record::HEAD).and_then(|()| File::open(&ledger)?.sync_all());
    begun.inspect_err(|_| {
        // Where the disk is full, it would be one more file for each try.
        let _ = fs::remove_file(&path);
    })?;
    Ok(Open { path, file: Arc::new(file), next: 0 })
}

/// Writes all of it or nothing, as far as the disk lets it.
fn append(file: &File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    let mut writer = file;
    writer.write_all(bytes).inspect_err(|_| {
        // What can't be cut off is a last record that isn't whole.
        let _ = file.set_len(before);
    })
}

/// Everything in all ledgers of a data folder.
pub(super) fn read(data_dir: &Path) -> io::Result<Sent> {
    read_all(data_dir, &BTreeMap::new(), SystemTime::now())
}

/// The same, with all of one's `own` files: those that are too old are deleted already.
fn read_all(
    data_dir: &Path,
    own: &BTreeMap<PathBuf, Moment>,
    wall: SystemTime,
) -> io::Result<Sent> {
    let (mut parcels, mut damaged) = (Vec::new(), Vec::new());
    for folder in ledgers(data_dir)? {
        for path in files_of(&folder)? {
            if !own.contains_key(&path) && is_too_old(&path, Duration::ZERO, wall) {
                continue;
            }
            let mut file = Vec::new();
            // The last request may begin just before a file is full.
            let opened = File::open(&path)
                .and_then(|opened| opened.take(2 * FILE_BYTES).read_to_end(&mut file));
            match opened {
                // Deleted since its name was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            let contents = record::read(&file);
            parcels.extend(contents.parcels);
            damaged.extend(contents.damaged.then_some(path));
        }
    }
    Ok(Sent::new(parcels, damaged))
}

/// The ledgers of all numbered folders. None if the data folder doesn't exist.
fn ledgers(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    // What a link leads to isn't ours.
    let numbered = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(is_numbered) && !path.is_symlink()
    };
    // Its true path: the process that writes knows its own files by it.
    let data_dir = match fs::canonicalize(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        path => path?,
    };
    let folders = entries(&data_dir)?.into_iter().filter(numbered);
    Ok(folders.map(|folder| folder.join(FOLDER)).filter(|folder| folder.is_dir()).collect())
}

/// A ledger's files, the oldest first.
fn files_of(ledger: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries(ledger)?.into_iter().filter(|path| begun(path).is_some()).collect())
}

/// What is in a folder, by name; nothing if it doesn't exist.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Whether a file, by its name, was begun a day ago or will have been `soon`, or a day in the future.
fn is_too_old(path: &Path, soon: Duration, wall: SystemTime) -> bool {
    let Some(begun) = begun(path) else { return false };
    let now = seconds(wall);
    now + soon.as_secs() >= begun.saturating_add(AGE_LIMIT.as_secs())
        || begun > now.saturating_add(FUTURE.as_secs())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
