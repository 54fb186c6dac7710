//! What the agent is told: TOML files, read at once, parsed into what the rest can rely on.
//!
//! The main file and `conf.d/*.toml` beside it are one configuration. Unknown keys are refused; a
//! mistake is told with file, line and key.

mod agent;
mod consent;
mod error;
mod example;
mod host;
mod listener;
mod log;
mod section;
mod tor;
mod tree;
mod variables;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use agent::{AgentConfig, Transport};
pub(crate) use consent::{ConsentConfig, Standing};
pub(crate) use error::{ConfigError, Place};
pub(crate) use example::EXAMPLE;
pub(crate) use host::{HostConfig, Part};
pub(crate) use listener::ListenerConfig;
pub(crate) use log::LogConfig;

use section::Section;
use tree::Table;
use undertone::switched_off;
use variables::Environment;

/// Where the configuration is looked for.
pub(crate) const DEFAULT_PATH: &str = "/etc/undertone/undertone.toml";
/// The folder beside it whose files are part of it.
const FOLDER: &str = "conf.d";
/// More files were put there by mistake.
const FILES_LIMIT: usize = 256;

/// All keys outside of tables, and the tables.
const KEYS: &[&str] = &[
    "consent",
    "consent_file",
    "ingest",
    "ingest_file",
    "data_dir",
    "ledger",
    "namespace",
    "alias",
    "push_every_seconds",
    "transport",
    "client_keys",
    "tor",
    "host",
    "listener",
    "log",
];
/// The longest alias, in characters.
const ALIAS_LIMIT: usize = 64;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The files that it was read from, the main one first.
    pub(crate) files: Vec<PathBuf>,
    /// Whether reporting is allowed. The environment's switches are not looked at here.
    pub(crate) consent: ConsentConfig,
    /// What a change of makes another agent necessary, with another session; none until the ingest
    /// side is known, and always there once consent is given.
    pub(crate) agent: AgentConfig,
    /// The tag `host` of all points.
    pub(crate) alias: Option<String>,
    /// What is read from this machine.
    pub(crate) host: HostConfig,
    /// Where other programs hand their points over.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// What is logged.
    pub(crate) log: LogConfig,
}

impl Config {
    /// Reads a file and `conf.d/*.toml` beside it, with variables of this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &|name| env::var(name).ok(), switched_off().is_none())
    }

    /// `may` says whether consent counts.
    fn load_with(
        path: &Path,
        environment: Environment<'_>,
        may: bool,
    ) -> Result<Self, ConfigError> {
        let mut table = tree::read(path, environment)?;
        let mut files = vec![path.to_owned()];
        for file in more_files(path)? {
            tree::merge(&mut table, tree::read(&file, environment)?, "")?;
            files.push(file);
        }
        Self::from_table(table, files, may)
    }

    fn from_table(table: Table, files: Vec<PathBuf>, may: bool) -> Result<Self, ConfigError> {
        let main = files.first().map_or(Path::new("."), PathBuf::as_path);
        let root = Place { file: Arc::from(main), line: 1 };
        let mut root = Section::new("", root, table, KEYS)?;
        let data_dir = agent::data_dir(&mut root)?;
        let namespace = agent::namespace(&mut root)?;
        let consent = ConsentConfig::read(&mut root, &data_dir)?;
        let granted = consent.standing(&namespace) == Standing::Granted;
        let agent = AgentConfig::read(&mut root, data_dir, namespace, may && granted)?;
        if granted && agent.ingest.is_none() {
            let reason = "consent is given, and there is no `ingest` to report to: it is what \
                          `undertone-ingest-proxy address` prints";
            return Err(consent.wrong(reason).unwrap_or_else(|| root.missing("ingest", reason)));
        }
        let alias = root.text("alias")?;
        if let Some(alias) = &alias {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let text = alias.as_str();
            if text.is_empty() || text.len() > ALIAS_LIMIT || !text.chars().all(plain) {
                let reason = "a name of your choice: 1 to 64 letters, digits, - _ and .";
                return Err(alias.wrong(reason));
            }
        }
        Ok(Self {
            files,
            consent,
            agent,
            alias: alias.map(|alias| alias.value.text),
            host: HostConfig::read(&mut root)?,
            listeners: ListenerConfig::read_all(&mut root)?,
            log: LogConfig::read(&mut root)?,
        })
    }
}

/// `conf.d/*.toml` beside the main file, in the order of their names.
fn more_files(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = main.parent().unwrap_or(Path::new(".")).join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error| ConfigError::unreadable(&folder, format!("this folder can't be read: {error}"));
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.len() > FILES_LIMIT {
        return Err(ConfigError::unreadable(&folder, "more than 256 files are here"));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
