//! What the sinks for InfluxDB 1, 2 and 3 have in common: points go out as lines, the answer is read,
//! and what was refused is found.
//!
//! One writer, three dialects: `influxdb1`, `influxdb2` and `influxdb3` say which path, how a request
//! is authorized, and what was asked for. Credentials are in no error and no `Debug`; a database's
//! text goes only where refused lines go. A credential that is refused is read again from its file.

mod answer;
mod bisect;
mod client;
mod secret;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::{Mutex, PoisonError};

use hyper::body::Bytes;
use undertone_wire::Point;

pub use secret::Secret;
pub use server::Server;

use super::{RefusedPoint, SinkError, SinkErrorKind, influxdb2};
use crate::lines;
pub(super) use answer::{Answer, Version};
use answer::{Refusal, Verdict, verdict};
use bisect::Bisect;
pub(super) use client::Client;
pub(super) use secret::Authorization;

/// Writes points as lines to one database.
pub(super) struct LineWriter {
    version: Version,
    transport: Transport,
    secret: Mutex<Secret>,
}

/// What takes a request to the database.
pub(super) enum Transport {
    /// A client of our own, on hyper.
    Own(Client),
    /// The crate `influxdb2`.
    Crate(influxdb2::PlainClient),
}

impl std::fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineWriter").field("version", &self.version).finish_non_exhaustive()
    }
}

impl LineWriter {
    pub(super) fn new(version: Version, transport: Transport, secret: Secret) -> Self {
        Self { version, transport, secret: Mutex::new(secret) }
    }

    /// Writes points and looks for those that are refused: where the database doesn't name them, by
    /// halving what was refused.
    ///
    /// What refuses a request without any line refuses the request, and says nothing about lines: then all
    /// points are kept.
    pub(super) async fn write(&self, points: &[Point]) -> Result<(), SinkError> {
        let mut search = Bisect::new(points.len());
        let mut refused = Vec::new();
        // Whether the database takes such a request, so that what it refuses must be lines.
        let mut is_well_asked = false;
        while let Some(range) = search.next() {
            let part = points.get(range.clone()).unwrap_or_default();
            match self.attempt(part).await? {
                Verdict::Written => is_well_asked = true,
                Verdict::Refused(refusal) => {
                    if !refusal.is_of_lines && !is_well_asked {
                        self.ask_without_lines(&refusal).await?;
                        is_well_asked = true;
                    }
                    if !search.split(range.clone()) {
                        let each = |index| RefusedPoint { index, reason: refusal.reason.clone() };
                        refused.extend(range.map(each));
                    }
                }
                Verdict::Partly(lines) => refused.extend(lines.into_iter().map(|mut line| {
                    line.index += range.start;
                    line
                })),
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

    /// Fails if a comment alone is refused, too: databases skip it and write nothing.
    async fn ask_without_lines(&self, refusal: &Refusal) -> Result<(), SinkError> {
        match self.send(Bytes::from_static(NO_LINE), 0).await? {
            Verdict::Refused(_) => {
                let status = refusal.reason.split(':').next().unwrap_or_default();
                let what = format!(
                    "{} answers {status} to every request, also to one without points: it refuses the \
                     request and not a line; correct the sink's configuration, or what stands between",
                    self.version.name()
                );
                Err(SinkError::new(SinkErrorKind::Fatal, what))
            }
            Verdict::Written | Verdict::Partly(_) => Ok(()),
        }
    }

    async fn attempt(&self, points: &[Point]) -> Result<Verdict, SinkError> {
        match lines::encode(points) {
            Ok(body) => self.send(Bytes::from(body), points.len()).await,
            Err(error) => Ok(Verdict::Refused(Refusal::of_lines(error.to_string()))),
        }
    }

    async fn send(&self, body: Bytes, lines: usize) -> Result<Verdict, SinkError> {
        let secret = self.secret();
        let mut answer = self.post(&secret, body.clone()).await?;
        if matches!(answer.status, 401 | 403)
            && let Some(corrected) = secret.read_again().await
        {
            // What can't be a token is not kept: the next refusal has the file read again.
            if self.version != Version::One {
                corrected.check()?;
            }
            *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = corrected.clone();
            answer = self.post(&corrected, body).await?;
        }
        verdict(self.version, &answer, lines)
    }

    async fn post(&self, secret: &Secret, body: Bytes) -> Result<Answer, SinkError> {
        match &self.transport {
            Transport::Own(client) => client.post(secret, body).await,
            Transport::Crate(client) => client.post(secret, body).await,
        }
    }

    fn secret(&self) -> Secret {
        self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A configuration that can't work.
pub(super) fn wrong(what: &'static str) -> SinkError {
    SinkError::new(SinkErrorKind::Fatal, what)
}

/// No answer in time.
pub(super) fn late() -> SinkError {
    SinkError::new(SinkErrorKind::TookTooLong, "the database doesn't answer in time")
}

/// A request's body that writes nothing.
const NO_LINE: &[u8] = b"# is this request taken?\n";

/// Something that may pass by itself.
pub(super) fn unreachable(what: &'static str) -> SinkError {
    SinkError::new(SinkErrorKind::RetryAfter(None), what)
}
