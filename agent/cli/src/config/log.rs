//! `[log]`: what is written to standard error.

use super::{error::ConfigError, section::Section};

pub(super) const KEYS: &[&str] = &["level", "tor_level", "timestamps"];
const LEVELS: [(&str, &str); 6] = [
    ("off", "off"),
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
];

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// The least level of the agent's own messages.
    pub(crate) level: &'static str,
    /// The least level of arti's.
    pub(crate) tor_level: &'static str,
    /// Whether lines begin with the time.
    pub(crate) timestamps: bool,
}

impl LogConfig {
    /// What holds until a configuration was read.
    pub(crate) const DEFAULT: Self = Self { level: "info", tor_level: "error", timestamps: false };

    pub(super) fn read(root: &mut Section) -> Result<Self, ConfigError> {
        let mut config = Self::DEFAULT;
        let Some(table) = root.table("log")? else { return Ok(config) };
        let mut section = Section::new("log", table.place, table.value, KEYS)?;
        if let Some(level) = section.text("level")? {
            config.level = level.choice(&LEVELS)?;
        }
        if let Some(level) = section.text("tor_level")? {
            config.tor_level = level.choice(&LEVELS)?;
        }
        if let Some(timestamps) = section.boolean("timestamps")? {
            config.timestamps = timestamps.value;
        }
        Ok(config)
    }
}
