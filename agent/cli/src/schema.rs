//! Schema files: checked, shown to users, compared. Reads what it is given, and needs no consent: it
//! touches neither the network nor the configuration.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use undertone::{Schema, SchemaError};

use crate::command::Exit;

/// How a schema is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Html,
}

/// Why a file is no schema: with its name, and line and key where it has some.
#[derive(Debug)]
pub(crate) enum FileError {
    /// It can't be read.
    Read(PathBuf, io::Error),
    /// It says something that a schema can't.
    Schema(PathBuf, SchemaError),
}

/// Says what a schema declares, in a line or two.
pub(crate) fn check(file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let schema = read(file)?;
    let (count, seconds) = (schema.measurements().count(), schema.interval().as_secs());
    let (namespace, version) = (schema.namespace(), schema.version());
    writeln!(out, "{namespace}: {count} measurements every {seconds} s, version {version}")?;
    if schema.is_open() {
        writeln!(
            out,
            "Open: it takes what nobody declared, too. For machines of one's own alone."
        )?;
    }
    for (name, _) in schema.linkable() {
        writeln!(out, "Linkable: {name}. Who is asked for consent must be shown this word.")?;
    }
    Ok(())
}

/// The page that users can read.
pub(crate) fn show(file: &Path, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let schema = read(file)?;
    let page = match format {
        Format::Markdown => schema.to_markdown(),
        Format::Html => schema.to_html(),
    };
    Ok(write!(out, "{page}")?)
}

/// A line for each thing that differs; as with diff(1), the exit code says whether there is one.
pub(crate) fn diff(old: &Path, new: &Path, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (old, new) = (read(old)?, read(new)?);
    let changes = new.changes_since(&old);
    for change in &changes {
        writeln!(out, "{change}")?;
    }
    Ok(if changes.is_empty() { Exit::Done } else { Exit::Failed })
}

pub(crate) fn read(file: &Path) -> Result<Schema, FileError> {
    let text = fs::read_to_string(file).map_err(|e| FileError::Read(file.to_owned(), e))?;
    Schema::from_toml(&text).map_err(|error| FileError::Schema(file.to_owned(), error))
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(file, error) => write!(f, "can't read {}: {error}", file.display()),
            Self::Schema(file, error) => {
                // A terminal would obey what somebody else wrote.
                let error: String = error.to_string().chars().filter(|c| !c.is_control()).collect();
                write!(f, "{}: {error}", file.display())
            }
        }
    }
}

impl std::error::Error for FileError {}
