//! `[spool]`: how much waits for the ingest side on this machine's disk, and how long.

use std::time::Duration;

use undertone::SpoolLimits;

use super::{error::ConfigError, section::Section};

pub(super) const KEYS: &[&str] = &["max_mebibytes", "max_hours"];
/// What may wait: more isn't read at a start within seconds.
const MEBIBYTES: std::ops::RangeInclusive<f64> = 0.0..=256.0;
/// A proxy that was sent a parcel remembers it for 48 hours.
const HOURS: std::ops::RangeInclusive<f64> = 0.1..=40.0;

/// Reads it.
pub(super) fn read(root: &mut Section) -> Result<SpoolLimits, ConfigError> {
    let mut limits = SpoolLimits::default();
    let Some(table) = root.table("spool")? else { return Ok(limits) };
    let mut section = Section::new("spool", table.place, table.value, KEYS)?;
    if let Some(found) = section.number("max_mebibytes")? {
        if !MEBIBYTES.contains(&found.value) {
            return Err(found.wrong("a number of MiB, from 0 (nothing on disk) to 256"));
        }
        limits.bytes = (found.value * f64::from(1 << 20)) as u64;
    }
    if let Some(found) = section.number("max_hours")? {
        if !HOURS.contains(&found.value) {
            return Err(found.wrong("a number of hours, from 0.1 to 40"));
        }
        limits.age = Duration::from_secs_f64(found.value * 3_600.0);
    }
    Ok(limits)
}
