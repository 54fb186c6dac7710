//! Writes to an InfluxDB 1, or to what speaks its write API, over HTTP or HTTPS.
//!
//! It writes what it can of a request and names no line that it refuses, so that those are looked for.
//! It has no unsigned numbers: a point with one is refused.

use undertone_wire::Point;

use super::influxdb::{
    Authorization, Client, LineWriter, Secret, Server, Transport, Version, wrong,
};
use super::{Sink, SinkError, SinkFuture};

/// Where the database is and what to write to.
#[derive(Debug, Clone)]
pub struct InfluxDb1Config {
    /// The server.
    pub server: Server,
    /// The database's name.
    pub database: String,
    /// The retention policy's name; the database's default one unless set.
    pub retention_policy: Option<String>,
    /// Who may write there; nobody for a database that doesn't ask.
    pub user: Option<InfluxDb1User>,
}

/// A user of InfluxDB 1.
#[derive(Debug, Clone)]
pub struct InfluxDb1User {
    /// The user's name, without a colon.
    pub name: String,
    /// The user's password.
    pub password: Secret,
}

/// A sink that writes to InfluxDB 1.
#[derive(Debug)]
pub struct InfluxDb1(LineWriter);

impl InfluxDb1 {
    /// A sink; nothing is connected yet.
    ///
    /// # Errors
    /// With kind [`Fatal`](super::SinkErrorKind::Fatal) if the configuration can't work.
    pub fn new(config: InfluxDb1Config) -> Result<Self, SinkError> {
        if config.database.is_empty() {
            return Err(wrong("the database must be named"));
        }
        let mut query = vec![("db", config.database.as_str())];
        query.extend(config.retention_policy.as_deref().map(|policy| ("rp", policy)));
        query.push(("precision", "ns"));
        let target = config.server.target("/write", &query);
        let (authorization, secret) = match config.user {
            Some(user) if user.name.is_empty() || user.name.contains(':') => {
                return Err(wrong("a username isn't empty and has no colon"));
            }
            Some(user) => (Authorization::Basic { username: user.name }, user.password),
            None => (Authorization::Nothing, Secret::none()),
        };
        let client = Client::new(config.server, target, authorization)?;
        Ok(Self(LineWriter::new(Version::One, Transport::Own(client), secret)))
    }
}

impl Sink for InfluxDb1 {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        Box::pin(self.0.write(points))
    }
}
