//! A machine that loses its power: files are as of their last fsync, folders as of theirs.
//!
//! The library in `tests/preload` keeps a copy of what each fsync made sure of, by inode; a folder's copy is its
//! list of names. What is kept is all that POSIX promises: many file systems keep more.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::subject::Subject;
use crate::{folder::Folder, janitor};

/// What is lost of what wasn't synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    All,
    /// Names are as they were last; of contents each sector is the new or the old one, by this seed.
    Torn(u64),
}

/// What is sure of a disk.
#[derive(Debug)]
pub struct Power {
    safe: Folder,
    root: PathBuf,
    library: PathBuf,
}

const SECTOR: usize = 512;

impl Power {
    /// All that a subject's disk holds now is sure.
    pub fn over(subject: &Subject) -> Result<Self> {
        let power = Self { safe: Folder::new("safe")?, root: subject.disk(), library: library()? };
        power.keep(&power.root)?;
        Ok(power)
    }

    /// What the preloaded library is told; step 0 never comes.
    pub fn environment(&self, step: usize) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        [
            ("LD_PRELOAD", path(&self.library)),
            ("UNDERTONE_POWER_ROOT", path(&self.root)),
            ("UNDERTONE_POWER_SAFE", path(self.safe.path())),
            ("UNDERTONE_POWER_STEP", step.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The steps so far: a line each, with its call and its file.
    pub fn log(&self) -> String {
        fs::read_to_string(self.safe.join("log")).unwrap_or_default()
    }

    /// Makes the disk be what it is after the power was lost.
    pub fn lose(&self, subject: &Subject, loss: Loss) -> Result<()> {
        let beside = subject.beside("disk.new");
        match loss {
            Loss::All => self.give_back(self.root.metadata()?.ino(), &beside)?,
            Loss::Torn(seed) => self.tear(&self.root, &beside, &mut Random(seed))?,
        }
        fs::remove_dir_all(&self.root)?;
        fs::rename(&beside, &self.root)?;
        Ok(())
    }

    fn file(&self, inode: u64) -> PathBuf {
        self.safe.join(format!("f{inode}"))
    }

    fn keep(&self, folder: &Path) -> Result<()> {
        let mut names = String::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (inode, name) = (entry.metadata()?.ino(), entry.file_name());
            let kind = if entry.file_type()?.is_dir() {
                self.keep(&entry.path())?;
                'd'
            } else {
                fs::copy(entry.path(), self.file(inode))?;
                'f'
            };
            names += &format!("{kind} {inode} {}\n", name.to_string_lossy());
        }
        fs::write(self.safe.join(format!("d{}", folder.metadata()?.ino())), names)?;
        Ok(())
    }

    /// A folder of which nothing but its name was sure is empty, and so is a file.
    fn give_back(&self, inode: u64, to: &Path) -> Result<()> {
        DirBuilder::new().mode(0o700).create(to)?;
        let names = fs::read_to_string(self.safe.join(format!("d{inode}"))).unwrap_or_default();
        for line in names.lines() {
            let mut words = line.splitn(3, ' ');
            let (kind, inode, name) = (words.next(), words.next(), words.next());
            let (inode, name) = (inode.context("an inode")?.parse()?, name.context("a name")?);
            match kind {
                Some("d") => self.give_back(inode, &to.join(name))?,
                _ => write(&to.join(name), &fs::read(self.file(inode)).unwrap_or_default())?,
            }
        }
        Ok(())
    }

    fn tear(&self, from: &Path, to: &Path, random: &mut Random) -> Result<()> {
        DirBuilder::new().mode(0o700).create(to)?;
        // In order, so that a seed says all.
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            entries.insert(entry.file_name(), entry);
        }
        for (name, entry) in entries {
            if entry.file_type()?.is_dir() {
                self.tear(&entry.path(), &to.join(name), random)?;
                continue;
            }
            let sure = fs::read(self.file(entry.metadata()?.ino())).unwrap_or_default();
            let last = fs::read(entry.path())?;
            write(&to.join(name), &torn(&sure, &last, random))?;
        }
        Ok(())
    }
}

/// Each sector from one or the other, and the length, too.
fn torn(sure: &[u8], last: &[u8], random: &mut Random) -> Vec<u8> {
    let length = if random.bit() { sure.len() } else { last.len() };
    let mut torn = vec![0; length];
    for (number, sector) in torn.chunks_mut(SECTOR).enumerate() {
        let from = if random.bit() { sure } else { last };
        let at = (number * SECTOR).min(from.len());
        let part = &from[at..(at + sector.len()).min(from.len())];
        sector[..part.len()].copy_from_slice(part);
    }
    torn
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(())
}

/// The preloaded library, compiled once.
fn library() -> Result<PathBuf> {
    static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compile = || -> Result<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload/power.c");
        let library = janitor::root()?.join("power.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .context("run cc")?;
        ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        Ok(library)
    };
    LIBRARY
        .get_or_init(|| compile().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

/// SplitMix64 (Steele, Lea, Flood, 2014): a seed says all that comes.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bit(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}
