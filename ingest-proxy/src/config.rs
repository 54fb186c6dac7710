//! The configuration file: TOML, read once, unknown keys refused, mistakes told with line and key.

mod front;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use undertone_wire::endpoint::DeploymentId;

pub use self::front::{FrontConfig, UnixFront};
use crate::{
    error::{Error, ErrorKind},
    queue::QueueLimits,
    sink::{embedded::EmbeddedLimits, influxdb2::InfluxDb2Config},
};

/// Everything that a proxy is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Keys, queue, schemas and the embedded store; made with mode 0700.
    pub data_dir: PathBuf,
    /// Where `/health` and `/metrics` are; none: nowhere. A loopback address.
    pub health: Option<SocketAddr>,
    /// How agents reach it; an onion service of its own unless set.
    pub front: FrontConfig,
    /// Which parcels are ours; by default those for our own onion address.
    pub deployment: Option<DeploymentId>,
    /// Bounds of the queue.
    pub queue: QueueLimits,
    /// Where points go; the embedded store unless set.
    pub sinks: Vec<SinkConfig>,
    /// arti's own configuration, in TOML.
    pub tor: String,
}

/// A sink and what it is called.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name, unique; the queue remembers its position under it.
    pub name: String,
    /// What it is.
    pub target: Target,
}

/// The kinds of sinks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Target {
    /// A file in the data folder.
    Embedded(EmbeddedLimits),
    /// InfluxDB 2.
    InfluxDb2(InfluxDb2Config),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    data_dir: Option<PathBuf>,
    health: Option<toml::Spanned<String>>,
    front: Option<toml::Spanned<front::RawFront>>,
    deployment: Option<toml::Spanned<String>>,
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

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum RawSink {
    Embedded { name: String, max_bytes: Option<NonZeroU64>, max_age_days: Option<NonZeroU32> },
    InfluxDb2 { name: String, url: String, org: String, bucket: String, token_file: PathBuf },
}

impl Config {
    /// The defaults, with everything in `data_dir`.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        let store = SinkConfig {
            name: "store".to_owned(),
            target: Target::Embedded(EmbeddedLimits::default()),
        };
        Self {
            data_dir: data_dir.into(),
            health: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9790).into()),
            front: FrontConfig::Onion,
            deployment: None,
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
        if let Some(deployment) = raw.deployment {
            let parsed = deployment.get_ref().parse();
            config.deployment =
                Some(parsed.map_err(|error: undertone_wire::endpoint::EndpointError| {
                    at("deployment", deployment.span(), error.to_string())
                })?);
        }
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
            let sink = sink
                .into_inner()
                .checked(folder)
                .map_err(|(key, what)| at(key, span.clone(), what))?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if sink.name.is_empty() || !sink.name.chars().all(plain) {
                return Err(at("name", span, "letters, digits, - and _".to_owned()));
            }
            let embedded = |sink: &SinkConfig| matches!(sink.target, Target::Embedded(_));
            if embedded(&sink) && config.sinks.iter().any(embedded) {
                return Err(at("type", span, "there is one embedded store".to_owned()));
            }
            if config.sinks.iter().any(|other| other.name == sink.name) {
                return Err(at(
                    "name",
                    span,
                    format!("{:?} is the name of another sink", sink.name),
                ));
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

impl RawSink {
    fn checked(self, folder: &Path) -> Result<SinkConfig, (&'static str, String)> {
        match self {
            Self::Embedded { name, max_bytes, max_age_days } => {
                let mut limits = EmbeddedLimits::default();
                limits.bytes = max_bytes.map_or(limits.bytes, NonZeroU64::get);
                if let Some(days) = max_age_days {
                    limits.age = Duration::from_secs(u64::from(days.get()) * 24 * 3_600);
                }
                Ok(SinkConfig { name, target: Target::Embedded(limits) })
            }
            Self::InfluxDb2 { name, url, org, bucket, token_file } => {
                let path = folder.join(token_file);
                let token = fs::read_to_string(&path)
                    .map_err(|error| ("token_file", format!("{}: {error}", path.display())))?;
                let token = token.trim().to_owned();
                let target = Target::InfluxDb2(InfluxDb2Config { url, org, bucket, token });
                Ok(SinkConfig { name, target })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/undertone"))
    }

    #[test]
    fn nothing_need_be_set() {
        let config = parse("").unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/undertone/undertone-ingest"));
        assert!(matches!(
            config.sinks.as_slice(),
            [SinkConfig { target: Target::Embedded(_), .. }]
        ));
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let two = "[[sink]]\nname = \"a\"\ntype = \"embedded\"\n\n[[sink]]\nname = \"b\"\ntype = \"embedded\"\n";
        let influx = "[[sink]]\nname = \"a\"\ntype = \"influxdb2\"\nurl = \"http://x\"\norg = \"o\"\n\
                      bucket = \"b\"\ntoken_file = \"nowhere\"\n";
        for (text, line, key) in [
            ("\nhealth = \"0.0.0.0:80\"", "line 2", "`health`"),
            ("deployment = \"abc\"", "line 1", "`deployment`"),
            ("\n\nport = 80", "line 3", "`port`"),
            ("[queue]\nmax_bytes = -1", "line 2", "max_bytes"),
            (two, "line 5", "`type`"),
            (&two.replace("\"a\"", "\"a b\""), "line 1", "`name`"),
            ("[queue]\nmax_age_hours = 0", "line 2", "max_age_hours"),
            ("[front]\ntype = \"unix\"", "line 1", "`path`"),
            ("\n[tor.channel]\npadding = \"none\"\n[front]\ntype = \"x\"", "line 5", "`type`"),
            (influx, "line 1", "`token_file`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(line) && error.contains(key), "{text}\n→ {error}");
        }
    }

    #[test]
    fn what_is_under_tor_goes_to_arti_as_it_is() {
        let config = parse("[tor.channel]\npadding = \"reduced\"\n").unwrap();
        assert_eq!(config.tor, "[channel]\npadding = \"reduced\"\n");
    }
}
