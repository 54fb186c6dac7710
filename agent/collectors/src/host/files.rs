//! The kernel's text files under a root: read whole, within a bound, with a count of what was odd.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Of a file, at most this much is read.
const FILE_LIMIT_BYTES: u64 = 1024 * 1024;

/// What was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Files and file systems that could not be read.
    pub files: u64,
    /// Lines in files that didn't say what they should, or were too many.
    pub lines: u64,
}

/// The files under a root.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    skipped: Skipped,
}

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, skipped: Skipped::default() }
    }

    /// The text at a path below the root; counted if there is none.
    pub(super) fn read(&mut self, path: &str) -> Option<String> {
        let text = self.read_optional(path);
        self.skipped.files += u64::from(text.is_none());
        text
    }

    /// The text at a path below the root, where it may well be missing.
    pub(super) fn read_optional(&self, path: &str) -> Option<String> {
        bounded(&self.root.join(path)).ok()
    }

    /// The text of a file that each process has of its own. Of a host that is mounted somewhere, that
    /// of its first process is meant: ours would tell of the container.
    pub(super) fn read_own(&mut self, name: &str) -> Option<String> {
        if self.root != Path::new("/")
            && let Some(text) = self.read_optional(&format!("proc/1/{name}"))
        {
            return Some(text);
        }
        self.read(&format!("proc/self/{name}"))
    }

    /// Where something at an absolute path of the host is found.
    pub(super) fn locate(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn count_file(&mut self) {
        self.skipped.files += 1;
    }

    pub(super) fn count_line(&mut self) {
        self.skipped.lines += 1;
    }

    pub(super) fn skipped(&self) -> Skipped {
        self.skipped
    }
}

fn bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes)?;
    if length as u64 == FILE_LIMIT_BYTES {
        // The last line is cut somewhere, and may look whole.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
