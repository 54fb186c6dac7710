//! Writes to an InfluxDB 2, or to what speaks its write API, over HTTP or HTTPS.
//!
//! The only module that names the `influxdb2` crate, which carries what goes to `http://`. Of it, only the
//! writing of ready-made lines is used: its own `DataPoint` lets a tag's newline start a line. It keeps no
//! header of an answer, so that a database that is busy is asked by the other versions' client, which reads
//! `Retry-After`, until it takes something again. That client also carries what goes to `https://`, where the
//! crate has no way that fits (docs/decisions/0011).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{ClientBuilder, RequestError};
use undertone_wire::Point;

use super::influxdb::{
    Answer, Authorization, Client, LineWriter, Secret, Server, Transport, Version, late,
    unreachable, wrong,
};
use super::{Sink, SinkError, SinkFuture};

/// Where the database is and what to write to.
#[derive(Debug, Clone)]
pub struct InfluxDb2Config {
    /// The server.
    pub server: Server,
    /// The organization's name or ID.
    pub org: String,
    /// The bucket's name or ID.
    pub bucket: String,
    /// A token that may write to the bucket; empty for a database that asks for none.
    pub token: Secret,
}

/// A sink that writes to InfluxDB 2.
#[derive(Debug)]
pub struct InfluxDb2(LineWriter);

impl InfluxDb2 {
    /// A sink; nothing is connected yet.
    ///
    /// # Errors
    /// With kind [`Fatal`](super::SinkErrorKind::Fatal) if the configuration can't work: the token is
    /// not ASCII, or the organization or bucket is empty.
    pub fn new(config: InfluxDb2Config) -> Result<Self, SinkError> {
        config.token.check()?;
        if config.org.is_empty() || config.bucket.is_empty() {
            return Err(wrong("the organization and the bucket must be named"));
        }
        let query = [("bucket", &*config.bucket), ("org", &*config.org), ("precision", "ns")];
        let target = config.server.target("/api/v2/write", &query);
        let own = Client::new(config.server.clone(), target, Authorization::Token)?;
        let transport = if config.server.is_https() {
            Transport::Own(own)
        } else {
            Transport::Crate(PlainClient::new(config.server, config.org, config.bucket, own))
        };
        Ok(Self(LineWriter::new(Version::Two, transport, config.token)))
    }
}

impl Sink for InfluxDb2 {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        Box::pin(self.0.write(points))
    }
}

/// The crate's client, over plain HTTP.
pub(super) struct PlainClient {
    server: Server,
    org: String,
    bucket: String,
    /// A client has one token for life, so there is a new one for a new token.
    of_token: Mutex<Option<(String, influxdb2::Client)>>,
    /// What a busy database is asked by.
    own: Box<Client>,
    busy: AtomicBool,
}

impl PlainClient {
    fn new(server: Server, org: String, bucket: String, own: Client) -> Self {
        let (of_token, busy) = (Mutex::default(), AtomicBool::new(false));
        Self { server, org, bucket, of_token, own: Box::new(own), busy }
    }

    /// The answer, with what it asks for where it says "not now".
    pub(super) async fn post(&self, token: &Secret, body: Bytes) -> Result<Answer, SinkError> {
        token.check()?;
        if !self.busy.load(Ordering::Relaxed) {
            let answer = self.post_by_crate(token, body.clone()).await?;
            if !matches!(answer.status, 429 | 503) {
                return Ok(answer);
            }
        }
        let answer = self.own.post(token, body).await?;
        self.busy.store(answer.status != 204, Ordering::Relaxed);
        Ok(answer)
    }

    async fn post_by_crate(&self, token: &Secret, body: Bytes) -> Result<Answer, SinkError> {
        let client = self.client(token.text())?;
        let precision = TimestampPrecision::Nanoseconds;
        let answer =
            client.write_line_protocol_with_precision(&self.org, &self.bucket, body, precision);
        match answer.await {
            Ok(()) => Ok(Answer { status: 204, retry_after: None, text: String::new() }),
            Err(RequestError::Http { status, text }) => {
                Ok(Answer { status: status.as_u16(), retry_after: None, text })
            }
            Err(RequestError::ReqwestProcessing { source })
                if source.is_timeout() && !source.is_connect() =>
            {
                Err(late())
            }
            // Without the URL: it is the operator's, but long, and an error is read often.
            Err(RequestError::ReqwestProcessing { source }) => {
                Err(unreachable("cannot reach InfluxDB").with_source(source.without_url()))
            }
            Err(error) => Err(unreachable("cannot write to InfluxDB").with_source(error)),
        }
    }

    fn client(&self, token: &str) -> Result<influxdb2::Client, SinkError> {
        let mut of_token = self.of_token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*of_token
            && of == token
        {
            return Ok(client.clone());
        }
        let http = reqwest::ClientBuilder::new()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let client =
            ClientBuilder::with_builder(http, self.server.url().as_str(), &*self.org, token)
                .build()
                .map_err(|error| wrong("cannot set up the HTTP client").with_source(error))?;
        *of_token = Some((token.to_owned(), client.clone()));
        Ok(client)
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
