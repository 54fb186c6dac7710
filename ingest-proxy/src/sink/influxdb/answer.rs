//! What InfluxDB's answer means: a pure calculation.
//!
//! Sources: <https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint>,
//! <https://docs.influxdata.com/influxdb/v2/api/#operation/PostWrite>,
//! <https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/>.

use std::time::Duration;

use serde::Deserialize;

use super::{RefusedPoint, SinkError, SinkErrorKind};

/// What a database said to a request.
#[derive(Debug)]
pub(in crate::sink) struct Answer {
    pub(in crate::sink) status: u16,
    pub(in crate::sink) retry_after: Option<Duration>,
    /// It may quote points, so it goes only where they go.
    pub(in crate::sink) text: String,
}

/// Which InfluxDB was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Version {
    One,
    Two,
    Three,
}

/// What came of one request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// All was written.
    Written,
    /// Something in it is refused, now and later, with the reason.
    Refused(String),
    /// These are refused; all others were written.
    Partly(Vec<RefusedPoint>),
}

/// Reads the answer to a request with so many lines. An error says nothing about the points.
pub(super) fn verdict(
    version: Version,
    answer: &Answer,
    lines: usize,
) -> Result<Verdict, SinkError> {
    let status = answer.status;
    let name = version.name();
    let failed = |kind, context: String| Err(SinkError::new(kind, context));
    match status {
        204 => Ok(Verdict::Written),
        400 if version == Version::Three => Ok(named_lines(&answer.text, lines)
            .map_or_else(|| Verdict::Refused(reason(status, &answer.text)), Verdict::Partly)),
        400 | 422 => Ok(Verdict::Refused(reason(status, &answer.text))),
        413 => Ok(Verdict::Refused("413: too large".to_owned())),
        401 | 403 => failed(
            SinkErrorKind::Fatal,
            format!("{name} answered {status}: {}", version.what_is_wrong_with_credentials()),
        ),
        404 => failed(
            SinkErrorKind::Fatal,
            format!("{name} answered 404: it has no such {}, or isn't {name}", version.container()),
        ),
        200..400 => failed(
            SinkErrorKind::Fatal,
            format!("the database answered {status} where {name} answers 204: is this its URL?"),
        ),
        500 if version == Version::One && answer.text.contains(NO_RETENTION_POLICY) => failed(
            SinkErrorKind::Fatal,
            "InfluxDB 1 has no such retention policy: create it, or correct retention_policy"
                .to_owned(),
        ),
        _ => failed(
            SinkErrorKind::RetryAfter(answer.retry_after),
            format!("{name} answered {status}"),
        ),
    }
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::One => "InfluxDB 1",
            Self::Two => "InfluxDB 2",
            Self::Three => "InfluxDB 3",
        }
    }

    /// What points are written to.
    fn container(self) -> &'static str {
        match self {
            Self::One | Self::Three => "database",
            Self::Two => "organization or bucket",
        }
    }

    /// What is wrong, and what to do.
    fn what_is_wrong_with_credentials(self) -> &'static str {
        match self {
            Self::One => {
                "username and password are not those of a user that may write here: correct \
                 password_file, which is read again without a restart, or username"
            }
            Self::Two | Self::Three => {
                "the token is not one that may write here: correct token_file, which is read again \
                 without a restart"
            }
        }
    }
}

/// The lines that InfluxDB 3 says it refused; `None` if it doesn't, or names one that isn't there.
fn named_lines(text: &str, lines: usize) -> Option<Vec<RefusedPoint>> {
    let body: PartialWrite = serde_json::from_str(text).ok()?;
    let refused = body.data.into_iter().map(|line| {
        // Counted from one. A line break inside a text would mislead it: none is ever declared.
        let index = line.line_number.checked_sub(1).filter(|&index| index < lines)?;
        Some(RefusedPoint { index, reason: reason(400, &line.error_message) })
    });
    let refused: Vec<_> = refused.collect::<Option<_>>()?;
    (!refused.is_empty()).then_some(refused)
}

/// Only a list: with a single object instead of it, nothing was written.
#[derive(Deserialize)]
struct PartialWrite {
    data: Vec<RefusedLine>,
}

#[derive(Deserialize)]
struct RefusedLine {
    line_number: usize,
    error_message: String,
}

/// A status and the beginning of a text, without what would break a line.
fn reason(status: u16, text: &str) -> String {
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    format!("{status}: {}", text.take(REASON_CHARACTERS).collect::<String>())
}

const REASON_CHARACTERS: usize = 300;
/// What InfluxDB 1.6 to 1.8 say, with status 500.
const NO_RETENTION_POLICY: &str = "retention policy not found";
