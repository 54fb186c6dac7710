//! Writes to an InfluxDB 2, or to what speaks its write API, over plain HTTP.
//!
//! The only module that names the `influxdb2` crate. Of it, only the writing of ready-made lines is
//! used: its own `DataPoint` lets a tag's newline start a line. There is no TLS in this client: the
//! database is on the same host or a private network. The token is in no error and no `Debug`.

mod bisect;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use influxdb2::api::write::TimestampPrecision;
use influxdb2::{Client, ClientBuilder, RequestError};
use undertone_wire::Point;

use super::{RefusedPoint, Sink, SinkError, SinkErrorKind, SinkFuture};
use crate::lines;
use bisect::Bisect;
use status::{Verdict, verdict};

/// Where the database is and what to write to.
#[derive(Clone)]
pub struct InfluxDb2Config {
    /// `http://host:port`, without a path.
    pub url: String,
    /// The organization's name or ID.
    pub org: String,
    /// The bucket's name or ID.
    pub bucket: String,
    /// A token that may write to the bucket; empty for a database that asks for none.
    pub token: String,
}

impl std::fmt::Debug for InfluxDb2Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfluxDb2Config")
            .field("url", &self.url)
            .field("org", &self.org)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// A sink that writes to InfluxDB 2.
#[derive(Debug)]
pub struct InfluxDb2 {
    client: Client,
    org: String,
    bucket: String,
}

impl InfluxDb2 {
    /// A sink; nothing is connected yet.
    ///
    /// # Errors
    /// With kind [`SinkErrorKind::Fatal`] if the configuration can't work: the URL is not
    /// `http://host[:port]`, the token is not ASCII, or the organization or bucket is empty.
    pub fn new(config: InfluxDb2Config) -> Result<Self, SinkError> {
        check_url(&config.url)?;
        if !config.token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(wrong("the token has characters that no InfluxDB token has"));
        }
        if config.org.is_empty() || config.bucket.is_empty() {
            return Err(wrong("the organization and the bucket must be named"));
        }
        let http = reqwest::ClientBuilder::new()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let client = ClientBuilder::with_builder(
            http,
            config.url.as_str(),
            config.org.as_str(),
            config.token,
        )
        .build()
        .map_err(|error| wrong("cannot set up the HTTP client").with_source(error))?;
        Ok(Self { client, org: config.org, bucket: config.bucket })
    }

    /// Writes points and looks for those that are refused by halving what was refused.
    async fn write_all(&self, points: &[Point]) -> Result<(), SinkError> {
        let mut search = Bisect::new(points.len());
        let mut refused = Vec::new();
        while let Some(range) = search.next() {
            let part = points.get(range.clone()).unwrap_or_default();
            match self.attempt(part).await {
                Verdict::Written => {}
                Verdict::Failed(error) => return Err(error),
                Verdict::Refused(reason) => {
                    if !search.split(range.clone()) {
                        refused.push(RefusedPoint { index: range.start, reason });
                    }
                }
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        Err(SinkError::new(
            SinkErrorKind::LinesRefused(refused),
            "InfluxDB refused some of the lines",
        ))
    }

    async fn attempt(&self, points: &[Point]) -> Verdict {
        let body = match lines::encode(points) {
            Ok(body) => body,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        let answer = self
            .client
            .write_line_protocol_with_precision(
                &self.org,
                &self.bucket,
                body,
                TimestampPrecision::Nanoseconds,
            )
            .await;
        match answer {
            Ok(()) => Verdict::Written,
            Err(RequestError::Http { status, text }) => verdict(status.as_u16(), &text),
            // Without the URL: it is the operator's, but long, and an error is read often.
            Err(RequestError::ReqwestProcessing { source }) => Verdict::Failed(
                SinkError::new(SinkErrorKind::RetryAfter(None), "cannot reach InfluxDB")
                    .with_source(source.without_url()),
            ),
            Err(error) => Verdict::Failed(
                SinkError::new(SinkErrorKind::RetryAfter(None), "cannot write to InfluxDB")
                    .with_source(error),
            ),
        }
    }
}

impl Sink for InfluxDb2 {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        Box::pin(self.write_all(points))
    }
}

/// The client would drop a path silently and panic at what is no URL.
fn check_url(url: &str) -> Result<(), SinkError> {
    let parsed = reqwest::Url::parse(url)
        .map_err(|error| wrong("the database's URL can't be read").with_source(error))?;
    match parsed.scheme() {
        "http" => {}
        "https" => {
            return Err(wrong(
                "this client has no TLS: use http:// to a database on this host or a private \
                 network",
            ));
        }
        _ => return Err(wrong("the database's URL must start with http://")),
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(wrong("the database's URL names no host"));
    }
    if !matches!(parsed.path(), "" | "/") {
        return Err(wrong(
            "the database's URL has a path, which this client can't keep: give http://host:port",
        ));
    }
    if parsed.query().is_some()
        || parsed.fragment().is_some()
        || !parsed.username().is_empty()
        || parsed.password().is_some()
    {
        return Err(wrong(
            "the database's URL must be http://host:port alone; the token has its own key",
        ));
    }
    Ok(())
}

fn wrong(what: &'static str) -> SinkError {
    SinkError::new(SinkErrorKind::Fatal, what)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
