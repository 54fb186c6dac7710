//! `[host]`: what is read from this machine.

use std::{path::PathBuf, time::Duration};

use super::{error::ConfigError, section::Section};

pub(super) const KEYS: &[&str] = &["interval_seconds", "collect", "root"];
const INTERVAL: f64 = 10.0;
const INTERVAL_RANGE: std::ops::RangeInclusive<f64> = 1.0..=86_400.0;

/// What is read from this machine, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostConfig {
    /// The time between two readings.
    pub(crate) interval: Duration,
    /// What is read; empty: nothing.
    pub(crate) collect: Vec<Part>,
    /// Where the machine's file system begins: inside a container, where it is mounted.
    pub(crate) root: PathBuf,
}

/// A part of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What the processors do.
    Cpu,
    /// Memory and swap.
    Memory,
    /// How full file systems are.
    Disk,
    /// What disks read and write.
    DiskIo,
    /// What network interfaces send and receive.
    Network,
    /// Load, processes, and for how long the machine has run.
    System,
}

impl Part {
    /// All of them with their names in the configuration.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("disk", Self::Disk),
        ("diskio", Self::DiskIo),
        ("network", Self::Network),
        ("system", Self::System),
    ];

    /// Its name in the configuration.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| *name)
    }
}

impl HostConfig {
    pub(super) fn read(root: &mut Section) -> Result<Self, ConfigError> {
        let mut config = Self {
            interval: Duration::from_secs_f64(INTERVAL),
            collect: Part::ALL.map(|(_, part)| part).into(),
            root: PathBuf::from("/"),
        };
        let Some(table) = root.table("host")? else { return Ok(config) };
        let mut section = Section::new("host", table.place, table.value, KEYS)?;
        if let Some(interval) = section.number("interval_seconds")? {
            if !INTERVAL_RANGE.contains(&interval.value) {
                return Err(interval.wrong("a number of seconds, from 1 to 86400 (a day)"));
            }
            config.interval = Duration::from_secs_f64(interval.value);
        }
        if let Some(collect) = section.texts("collect")? {
            config.collect = Vec::new();
            for name in collect.value {
                let part = name.choice(&Part::ALL)?;
                if config.collect.contains(&part) {
                    return Err(name.wrong(format!("`{}` stands here twice", part.name())));
                }
                config.collect.push(part);
            }
        }
        if let Some(root) = section.text("root")? {
            config.root = root.path()?;
            if !config.root.join("proc").is_dir() {
                let reason = "there is no `proc` in this folder: it must be where the whole file \
                              system of the machine is mounted";
                return Err(root.wrong(reason));
            }
        }
        Ok(config)
    }
}
