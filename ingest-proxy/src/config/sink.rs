//! `[[sink]]`: what is written to, and which points.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use undertone_wire::schema::Schema;

use crate::sink::{
    SinkError,
    embedded::EmbeddedLimits,
    influxdb::{Secret, Server},
    influxdb1::{InfluxDb1Config, InfluxDb1User},
    influxdb2::InfluxDb2Config,
    influxdb3::InfluxDb3Config,
};

/// A sink and what it is called.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name, unique; the queue remembers its position under it.
    pub name: String,
    /// Only points of these namespaces go there; all points unless set.
    pub namespaces: Option<BTreeSet<String>>,
    /// What it is.
    pub target: Target,
}

/// The kinds of sinks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Target {
    /// A file in the data folder.
    Embedded(EmbeddedLimits),
    /// InfluxDB 1.
    InfluxDb1(InfluxDb1Config),
    /// InfluxDB 2.
    InfluxDb2(InfluxDb2Config),
    /// InfluxDB 3.
    InfluxDb3(InfluxDb3Config),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum RawSink {
    Embedded {
        name: String,
        namespaces: Option<Vec<String>>,
        max_bytes: Option<NonZeroU64>,
        max_age_days: Option<NonZeroU32>,
    },
    InfluxDb1 {
        name: String,
        namespaces: Option<Vec<String>>,
        url: String,
        ca_file: Option<PathBuf>,
        database: String,
        retention_policy: Option<String>,
        username: Option<String>,
        password_file: Option<PathBuf>,
    },
    InfluxDb2 {
        name: String,
        namespaces: Option<Vec<String>>,
        url: String,
        ca_file: Option<PathBuf>,
        org: String,
        bucket: String,
        token_file: PathBuf,
    },
    InfluxDb3 {
        name: String,
        namespaces: Option<Vec<String>>,
        url: String,
        ca_file: Option<PathBuf>,
        database: String,
        token_file: PathBuf,
    },
}

/// A key, and what is wrong with it.
type Mistake = (&'static str, String);

impl RawSink {
    pub(super) fn checked(self, folder: &Path) -> Result<SinkConfig, Mistake> {
        let (name, namespaces, target) = match self {
            Self::Embedded { name, namespaces, max_bytes, max_age_days } => {
                let mut limits = EmbeddedLimits::default();
                limits.bytes = max_bytes.map_or(limits.bytes, NonZeroU64::get);
                if let Some(days) = max_age_days {
                    limits.age = Duration::from_secs(u64::from(days.get()) * 24 * 3_600);
                }
                (name, namespaces, Target::Embedded(limits))
            }
            Self::InfluxDb1 {
                name,
                namespaces,
                url,
                ca_file,
                database,
                retention_policy,
                username,
                password_file,
            } => {
                let config = InfluxDb1Config {
                    server: server(&url, ca_file.as_deref(), folder)?,
                    database: named("database", database)?,
                    retention_policy: retention_policy
                        .map(|policy| named("retention_policy", policy))
                        .transpose()?,
                    user: user(username, password_file.as_deref(), folder)?,
                };
                (name, namespaces, Target::InfluxDb1(config))
            }
            Self::InfluxDb2 { name, namespaces, url, ca_file, org, bucket, token_file } => {
                let config = InfluxDb2Config {
                    server: server(&url, ca_file.as_deref(), folder)?,
                    org: named("org", org)?,
                    bucket: named("bucket", bucket)?,
                    token: token(&token_file, folder)?,
                };
                (name, namespaces, Target::InfluxDb2(config))
            }
            Self::InfluxDb3 { name, namespaces, url, ca_file, database, token_file } => {
                let config = InfluxDb3Config {
                    server: server(&url, ca_file.as_deref(), folder)?,
                    database: named("database", database)?,
                    token: token(&token_file, folder)?,
                };
                (name, namespaces, Target::InfluxDb3(config))
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(("name", "letters, digits, - and _".to_owned()));
        }
        let namespaces = namespaces.map(distinct_namespaces).transpose()?;
        Ok(SinkConfig { name, namespaces, target })
    }
}

fn distinct_namespaces(names: Vec<String>) -> Result<BTreeSet<String>, Mistake> {
    const KEY: &str = "namespaces";
    if names.is_empty() {
        let what = "name at least one; without this key all points go there";
        return Err((KEY, what.to_owned()));
    }
    let mut namespaces = BTreeSet::new();
    for name in names {
        // A schema without measurements, for the rules of its name.
        Schema::new(&name, Duration::from_secs(60), [])
            .map_err(|error| (KEY, error.to_string()))?;
        if !namespaces.insert(name.clone()) {
            return Err((KEY, format!("{name:?} is there twice")));
        }
    }
    Ok(namespaces)
}

fn server(url: &str, ca_file: Option<&Path>, folder: &Path) -> Result<Server, Mistake> {
    let server = Server::new(url).map_err(|error| ("url", error.report()))?;
    let Some(ca_file) = ca_file else { return Ok(server) };
    let path = folder.join(ca_file);
    let wrong = |error: SinkError| ("ca_file", format!("{}: {}", path.display(), error.report()));
    server.with_ca_file(&path).map_err(wrong)
}

fn user(
    name: Option<String>,
    password_file: Option<&Path>,
    folder: &Path,
) -> Result<Option<InfluxDb1User>, Mistake> {
    match (name, password_file) {
        (None, None) => Ok(None),
        (Some(name), Some(file)) => {
            let name = named("username", name)?;
            if name.contains(':') {
                return Err(("username", "it can't have a colon".to_owned()));
            }
            Ok(Some(InfluxDb1User { name, password: secret("password_file", file, folder)? }))
        }
        (Some(_), None) => Err(("username", "it needs a password_file".to_owned())),
        (None, Some(_)) => Err(("password_file", "it needs a username".to_owned())),
    }
}

fn token(file: &Path, folder: &Path) -> Result<Secret, Mistake> {
    let token = secret("token_file", file, folder)?;
    token.check().map_err(|error| ("token_file", error.to_string()))?;
    Ok(token)
}

fn secret(key: &'static str, file: &Path, folder: &Path) -> Result<Secret, Mistake> {
    let path = folder.join(file);
    Secret::file(&path).map_err(|error| (key, format!("{}: {error}", path.display())))
}

fn named(key: &'static str, name: String) -> Result<String, Mistake> {
    if name.is_empty() { Err((key, "it is empty".to_owned())) } else { Ok(name) }
}
