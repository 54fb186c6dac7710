//! What makes an agent: where it reports to, how, and how often. A change needs another agent.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use undertone::{Ingest, Ledger};
use undertone_wire::schema::Schema;

use super::{
    error::ConfigError,
    section::{Found, Section, Text},
    tor,
};

const DATA_DIR: &str = "/var/lib/undertone";
const NAMESPACE: &str = "fleet";
const PUSH_EVERY: f64 = 10.0;
/// What a rhythm may be, in seconds; the same bounds as `Rhythm::every` has.
const PUSH_EVERY_RANGE: std::ops::RangeInclusive<f64> = 0.05..=86_400.0;
/// The scheme of a transport by SOCKS.
const SOCKS: &str = "socks5://";

/// Where an agent reports to, how, and how often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentConfig {
    /// The ingest side; none as long as there is no consent either.
    pub(crate) ingest: Option<Ingest>,
    /// How it is reached.
    pub(crate) transport: Transport,
    /// Where keys are for services that not everybody may find.
    pub(crate) client_keys: Option<PathBuf>,
    /// Where Tor keeps its state, and the agent its ledger.
    pub(crate) data_dir: PathBuf,
    /// Where what was sent is written down.
    pub(crate) ledger: Ledger,
    /// The namespace of the schema that the proxy must admit.
    pub(crate) namespace: String,
    /// Mean time between two batches.
    pub(crate) push_every: Duration,
}

/// How the ingest side is reached.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Tor in this process, with arti's own configuration in TOML.
    Embedded(String),
    /// A tor that runs already.
    Socks(SocketAddr),
}

impl AgentConfig {
    /// `may` says whether anything may be done at all, which checking Tor's settings is.
    pub(super) fn read(
        root: &mut Section,
        data_dir: PathBuf,
        namespace: String,
        may: bool,
    ) -> Result<Self, ConfigError> {
        let (ingest, file) = (root.text("ingest")?, root.text("ingest_file")?);
        let ingest = match (ingest, file) {
            (Some(_), Some(file)) => {
                return Err(file.wrong("`ingest` is set as well: keep one of the two"));
            }
            (Some(text), None) => {
                let parsed = text.as_str().parse();
                Some(parsed.map_err(|error| text.wrong(format!("{error}")))?)
            }
            (None, Some(file)) => Some(ingest_in(&file)?),
            (None, None) => None,
        };
        let ledger = match root.text("ledger")? {
            Some(found) => found.choice(&[("disk", Ledger::Disk), ("memory", Ledger::Memory)])?,
            None => Ledger::Disk,
        };
        let push_every = match root.number("push_every_seconds")? {
            Some(found) if !PUSH_EVERY_RANGE.contains(&found.value) => {
                return Err(found.wrong("a number of seconds, from 0.05 to 86400 (a day)"));
            }
            Some(found) => found.value,
            None => PUSH_EVERY,
        };
        let transport = Transport::read(root, may)?;
        let client_keys = match (root.text("client_keys")?, &transport) {
            (Some(found), Transport::Socks(_)) => {
                return Err(found.wrong(
                    "is for Tor in this process; the tor that runs already reads such keys in the \
                     folder that `ClientOnionAuthDir` in its torrc names",
                ));
            }
            (Some(found), _) => Some(found.path()?),
            (None, _) => None,
        };
        Ok(Self {
            ingest,
            transport,
            client_keys,
            data_dir,
            ledger,
            namespace,
            push_every: Duration::from_secs_f64(push_every),
        })
    }
}

pub(super) fn data_dir(root: &mut Section) -> Result<PathBuf, ConfigError> {
    root.text("data_dir")?.map_or(Ok(PathBuf::from(DATA_DIR)), |found| found.path())
}

pub(super) fn namespace(root: &mut Section) -> Result<String, ConfigError> {
    let Some(found) = root.text("namespace")? else { return Ok(NAMESPACE.to_owned()) };
    Schema::new(found.as_str(), Duration::from_secs(1), []).map_err(|_| {
        let reason = "is no name: at most 64 of a-z, 0-9, _ and dots between them";
        found.wrong(format!("{} {reason}", found.quoted()))
    })?;
    Ok(found.value.text)
}

impl Transport {
    fn read(root: &mut Section, may: bool) -> Result<Self, ConfigError> {
        let (transport, tor) = (root.text("transport")?, root.table("tor")?);
        let socks = match &transport {
            None => None,
            Some(found) if found.as_str() == "embedded" => None,
            Some(found) => Some(socks(found)?),
        };
        match (socks, tor) {
            (Some(_), Some(tor)) if !tor.value.is_empty() => Err(tor.wrong(
                "with `transport = \"socks5://…\"` there is no Tor in this process to configure: \
                 remove this table, or use `transport = \"embedded\"`",
            )),
            (Some(address), _) => Ok(Self::Socks(address)),
            (None, Some(tor)) => Ok(Self::Embedded(tor::read(&tor, may)?)),
            (None, None) => Ok(Self::Embedded(String::new())),
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bridges are secrets.
        f.write_str(match self {
            Self::Embedded(_) => "Embedded",
            Self::Socks(_) => "Socks",
        })
    }
}

fn socks(found: &Found<Text>) -> Result<SocketAddr, ConfigError> {
    let address = found.as_str().strip_prefix(SOCKS).and_then(|address| address.parse().ok());
    address.filter(|address: &SocketAddr| address.port() != 0).ok_or_else(|| {
        let reason = "\"embedded\" for Tor in this process, or \"socks5://ADDRESS:PORT\" for a tor \
                      that runs already, such as \"socks5://127.0.0.1:9050\"";
        found.wrong(format!("{} is neither {reason}", found.quoted()))
    })
}

/// What the first line of a file that isn't empty says.
fn ingest_in(found: &Found<Text>) -> Result<Ingest, ConfigError> {
    let path = found.path()?;
    let wrong = |reason: String| found.wrong(format!("{}: {reason}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.ok_or_else(|| wrong("the file is empty".to_owned()))?;
    line.parse().map_err(|error: undertone_wire::endpoint::EndpointError| wrong(error.to_string()))
}
