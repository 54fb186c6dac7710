//! What is wrong with a configuration: in which file, on which line, at which key, and why.
//!
//! An error quotes no value that came out of the environment.

use std::{fmt, path::Path, sync::Arc};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: Arc<Path>,
    /// The line in it, from 1.
    pub(crate) line: usize,
}

/// Why a configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// The file.
    pub(crate) file: Arc<Path>,
    /// The line, from 1; none where the file couldn't be read at all.
    pub(crate) line: Option<usize>,
    /// The key with the tables that it is in; empty where there is none on that line.
    pub(crate) key: String,
    /// What is wrong, and what to do.
    pub(crate) reason: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, key: String::new(), reason: reason.into() }
    }
}

impl Place {
    /// An error here.
    pub(super) fn wrong(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            file: Arc::clone(&self.file),
            line: Some(self.line),
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// The folder that paths in this file are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}
