//! The configuration file: TOML, read once, unknown keys refused, mistakes told with line and key.

mod compatibility;
mod front;
mod limits;
mod sink;
#[cfg(test)]
mod tests;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use undertone_wire::endpoint::DeploymentId;

pub use self::compatibility::{ClientSession, CompatibilityConfig};
pub use self::front::{FrontConfig, UnixFront};
pub use self::limits::Limits;
pub(crate) use self::limits::count;
use crate::{
    error::{Error, ErrorKind},
    queue::QueueLimits,
    sink::embedded::EmbeddedLimits,
};
use sink::RawSink;
pub use sink::{SinkConfig, Target};

/// Everything that a proxy is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Keys, queue, schemas and the embedded store; made with mode 0700.
    pub data_dir: PathBuf,
    /// Where `/health`, `/metrics` and the operator page are; none: nowhere. A loopback address.
    pub health: Option<SocketAddr>,
    /// How agents reach it; an onion service of its own unless set.
    pub front: FrontConfig,
    /// Whether there is an operator page.
    pub page: bool,
    /// Which parcels are ours; by default those for our own onion address.
    pub deployment: Option<DeploymentId>,
    /// What bounds everybody who knows the address.
    pub limits: Limits,
    /// What is taken of clients of InfluxDB; none: they are not answered.
    pub compatibility: Option<CompatibilityConfig>,
    /// Bounds of the queue.
    pub queue: QueueLimits,
    /// Where points go; the embedded store unless set.
    pub sinks: Vec<SinkConfig>,
    /// arti's own configuration, in TOML.
    pub tor: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    data_dir: Option<PathBuf>,
    health: Option<toml::Spanned<String>>,
    front: Option<toml::Spanned<front::RawFront>>,
    page: Option<toml::Spanned<String>>,
    deployment: Option<toml::Spanned<String>>,
    #[serde(default)]
    limits: limits::RawLimits,
    compatibility: Option<toml::Spanned<compatibility::RawCompatibility>>,
    #[serde(default)]
    queue: RawQueue,
    #[serde(default, rename = "sink")]
    sinks: Vec<toml::Spanned<RawSink>>,
    tor: Option<toml::Spanned<toml::Table>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQueue {
    max_bytes: Option<NonZeroU64>,
    max_age_hours: Option<NonZeroU32>,
}

impl Config {
    /// The defaults, with everything in `data_dir`.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        let store = SinkConfig {
            name: "store".to_owned(),
            namespaces: None,
            target: Target::Embedded(EmbeddedLimits::default()),
        };
        Self {
            data_dir: data_dir.into(),
            health: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9790).into()),
            front: FrontConfig::Onion,
            page: true,
            deployment: None,
            limits: Limits::default(),
            compatibility: None,
            queue: QueueLimits::default(),
            sinks: vec![store],
            tor: String::new(),
        }
    }

    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with file, line and key.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Configuration, format!("configuration {}", path.display()))
                .because(what)
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(wrong)
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        let at = |key: &str, span: std::ops::Range<usize>, what: String| {
            let line = 1 + text[..span.start].matches('\n').count();
            format!("line {line}: `{key}`: {what}")
        };
        let data_dir = raw.data_dir.unwrap_or_else(|| PathBuf::from("undertone-ingest"));
        let mut config = Self::in_folder(folder.join(data_dir));
        if let Some(health) = raw.health {
            config.health = match health.get_ref().as_str() {
                "off" => None,
                text => match text.parse::<SocketAddr>() {
                    Ok(address) if address.ip().is_loopback() => Some(address),
                    _ => {
                        let what =
                            "a loopback address such as \"127.0.0.1:9790\", or \"off\"".to_owned();
                        return Err(at("health", health.span(), what));
                    }
                },
            };
        }
        if let Some(front) = raw.front {
            config.front =
                front::checked(front, folder).map_err(|(key, span, what)| at(key, span, what))?;
        }
        if let Some(page) = raw.page {
            config.page = match (page.get_ref().as_str(), config.health) {
                ("off", _) => false,
                ("on", Some(_)) => true,
                ("on", None) => {
                    let what = "it is served at `health`, which is off".to_owned();
                    return Err(at("page", page.span(), what));
                }
                _ => return Err(at("page", page.span(), "\"on\" or \"off\"".to_owned())),
            };
        }
        if let Some(deployment) = raw.deployment {
            let parsed = deployment.get_ref().parse();
            config.deployment =
                Some(parsed.map_err(|error: undertone_wire::endpoint::EndpointError| {
                    at("deployment", deployment.span(), error.to_string())
                })?);
        }
        if let Some(raw) = raw.compatibility {
            config.compatibility = compatibility::checked(raw, folder)
                .map_err(|(key, span, what)| at(key, span, what))?;
        }
        config.limits =
            limits::checked(raw.limits).map_err(|(key, span, what)| at(key, span, what))?;
        config.queue.remember_ids = config.limits.remembered_ids;
        config.queue.sessions = config.limits.sessions;
        config.queue.session_age = Duration::from_secs(config.limits.session_hours * 3_600);
        if let Some(bytes) = raw.queue.max_bytes {
            config.queue.bytes = bytes.get();
        }
        if let Some(hours) = raw.queue.max_age_hours {
            config.queue.age = Duration::from_secs(u64::from(hours.get()) * 3_600);
        }
        if !raw.sinks.is_empty() {
            config.sinks.clear();
        }
        for sink in raw.sinks {
            let span = sink.span();
            let at = |key: &str, what: String| {
                let start = key_of_table(text, span.start, key);
                at(key, start..start, what)
            };
            let sink = sink.into_inner().checked(folder).map_err(|(key, what)| at(key, what))?;
            let embedded = |sink: &SinkConfig| matches!(sink.target, Target::Embedded(_));
            if embedded(&sink) && config.sinks.iter().any(embedded) {
                return Err(at("type", "there is one embedded store".to_owned()));
            }
            if config.sinks.iter().any(|other| other.name == sink.name) {
                return Err(at("name", format!("{:?} is the name of another sink", sink.name)));
            }
            config.sinks.push(sink);
        }
        if let Some(tor) = raw.tor {
            if config.front != FrontConfig::Onion && !tor.get_ref().is_empty() {
                let what = "is for the front \"onion\"; the tor in front has a torrc".to_owned();
                return Err(at("tor", tor.span(), what));
            }
            config.tor = tor.into_inner().to_string();
        }
        Ok(config)
    }
}

/// Where a key stands in the table that begins at `start`; the table's own place if it isn't there.
///
/// Tables that differ by their `type` lose the places of their keys while they are read.
fn key_of_table(text: &str, start: usize, key: &str) -> usize {
    let mut at = start;
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        let trimmed = line.trim_start();
        if number > 0 && trimmed.starts_with('[') {
            break;
        }
        if trimmed.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return at;
        }
        at += line.len();
    }
    start
}
