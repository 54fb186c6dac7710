//! Keys by which this machine finds an onion service that not everybody may find.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use undertone::{ClientKey, Ingest};

use crate::config::{AgentConfig, Config, ConfigError, DEFAULT_PATH};

/// Makes a key for each onion service of the ingest side, the same for all: it is one side that is told. Prints the public
/// line, and on standard error what becomes of it.
pub(crate) fn new(
    agent: Option<&AgentConfig>,
    folder: Option<PathBuf>,
    ingest: Option<Ingest>,
    out: &mut impl Write,
) -> Result<()> {
    let configured = agent.and_then(|agent| agent.client_keys.clone());
    let Some(folder) = folder.or_else(|| configured.clone()) else {
        bail!("name the folder for the key, or set `client_keys` in the configuration");
    };
    let Some(ingest) = ingest.or_else(|| agent?.ingest.clone()) else {
        bail!("name the ingest side with --ingest, or set `ingest` in the configuration");
    };
    // Before anything is written.
    for endpoint in &ingest.endpoints {
        let file = ClientKey::file(&folder, &endpoint.onion);
        ensure!(!file.exists(), "there is a key already, which stays as it is: {}", file.display());
    }
    let key = ClientKey::draw().context("draw a key")?;
    for endpoint in &ingest.endpoints {
        let written = key.write(&folder, &endpoint.onion);
        let file = written.with_context(|| format!("write a key into {}", folder.display()))?;
        writeln!(io::stderr(), "The secret key is in {}", file.display())?;
    }
    writeln!(
        io::stderr(),
        "Where the proxy is: undertone-ingest-proxy client add NAME {}",
        key.public_line()
    )?;
    if configured.as_ref() != Some(&folder) {
        let folder = folder.canonicalize().unwrap_or(folder);
        writeln!(io::stderr(), "In this agent's configuration: client_keys = {folder:?}")?;
    }
    writeln!(out, "{}", key.public_line())?;
    Ok(())
}

/// The agent's part of a configuration; none where there is no file at the usual place.
pub(crate) fn agent(path: &Path) -> Result<Option<AgentConfig>, ConfigError> {
    if path == Path::new(DEFAULT_PATH) && !path.exists() {
        return Ok(None);
    }
    Ok(Some(Config::load(path)?.agent))
}
