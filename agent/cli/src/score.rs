//! How well devices could be followed by what a schema would report of a sample of data. Reads two files, and
//! needs no consent: it sends nothing, writes nothing and starts no thread.

use std::{
    fmt,
    fs::File,
    io,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use undertone::Scope;
use undertone_linkability::{
    advice::Advice,
    sample::{Sample, SampleError},
};

use crate::schema;

/// The longest sample, in bytes: it is held in memory.
const LENGTH_LIMIT: u64 = 512 * 1024 * 1024;

/// What is wrong with a sample, and in which file.
#[derive(Debug)]
pub(crate) enum TraceError {
    /// It can't be read.
    Read(PathBuf, io::Error),
    /// It isn't what the schema declares.
    Sample(PathBuf, SampleError),
}

/// Replays `trace` through the schema's gate and under sessions of `scope`, attacks what would be seen, and says
/// how well that went.
pub(crate) fn score(
    schema: &Path,
    trace: &Path,
    device: &str,
    scope: Scope,
    seed: u64,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let schema = schema::read(schema)?;
    let text = read(trace).map_err(|e| TraceError::Read(trace.to_owned(), e))?;
    let sample = Sample::read(&text, &schema, device)
        .map_err(|error| TraceError::Sample(trace.to_owned(), error))?;
    drop(text);
    let advice = Advice::of(Arc::new(sample), scope, seed)?;
    Ok(writeln!(out, "{advice}")?)
}

fn read(trace: &Path) -> io::Result<String> {
    let mut text = String::new();
    if File::open(trace)?.take(LENGTH_LIMIT + 1).read_to_string(&mut text)? as u64 > LENGTH_LIMIT {
        let megabytes = LENGTH_LIMIT / 1024 / 1024;
        return Err(io::Error::other(format!(
            "it is longer than {megabytes} MiB; score a part of the devices or of the days"
        )));
    }
    Ok(text)
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(file, error) => write!(f, "can't read {}: {error}", file.display()),
            Self::Sample(file, error) => write!(f, "{}: {error}", file.display()),
        }
    }
}

impl std::error::Error for TraceError {}
