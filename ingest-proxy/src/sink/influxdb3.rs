//! Writes to an InfluxDB 3 by its own write API, over HTTP or HTTPS.
//!
//! It writes what it can of a request and names the lines that it refuses. Made after its
//! documentation and tested against a stub that answers as it says, not against an InfluxDB 3:
//! <https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/>.

use undertone_wire::Point;

use super::influxdb::{
    Authorization, Client, LineWriter, Secret, Server, Transport, Version, wrong,
};
use super::{Sink, SinkError, SinkFuture};

/// Where the database is and what to write to.
#[derive(Debug, Clone)]
pub struct InfluxDb3Config {
    /// The server.
    pub server: Server,
    /// The database's name.
    pub database: String,
    /// A token that may write to it; empty for a server that asks for none.
    pub token: Secret,
}

/// A sink that writes to InfluxDB 3.
#[derive(Debug)]
pub struct InfluxDb3(LineWriter);

impl InfluxDb3 {
    /// A sink; nothing is connected yet.
    ///
    /// # Errors
    /// With kind [`Fatal`](super::SinkErrorKind::Fatal) if the configuration can't work.
    pub fn new(config: InfluxDb3Config) -> Result<Self, SinkError> {
        if config.database.is_empty() {
            return Err(wrong("the database must be named"));
        }
        config.token.check()?;
        // Named even where it is the default: guessing a precision by size would be wrong once.
        let query =
            [("db", &*config.database), ("precision", "nanosecond"), ("accept_partial", "true")];
        let target = config.server.target("/api/v3/write_lp", &query);
        let client = Client::new(config.server, target, Authorization::Bearer)?;
        Ok(Self(LineWriter::new(Version::Three, Transport::Own(client), config.token)))
    }
}

impl Sink for InfluxDb3 {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        Box::pin(self.0.write(points))
    }
}
