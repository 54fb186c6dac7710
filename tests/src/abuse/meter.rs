//! What an attack costs the proxy: processor time, memory, disk.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Of Linux, everywhere where Rust runs.
const TICKS_A_SECOND: f64 = 100.0;

/// A proxy's process and files.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) pid: u32,
}

impl Meter {
    /// Processor time until now, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name may have anything in it.
        let (_, after) = stat.rsplit_once(')').context("no name")?;
        let words: Vec<_> = after.split_whitespace().collect();
        let ticks =
            |word: usize| -> Result<f64> { Ok(words.get(word).context("a short stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
    }

    /// Memory that is resident, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most since [`Meter::forget_peak`].
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) -> Result<()> {
        // See proc(5): 5 resets the peak.
        Ok(fs::write(format!("/proc/{}/clear_refs", self.pid), "5")?)
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1_024)
    }
}

/// Bytes of all files in a folder.
pub(crate) fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may go while this looks.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
