//! What InfluxDB's answer means: a pure calculation.
//!
//! What is about the request, and not about a line of it, must never be taken for a line's fault: nothing
//! would be written, and every point be set aside. So a refusal that doesn't say which line is meant is
//! marked, and [`LineWriter`](super::LineWriter) asks with a request that has no line.
//!
//! Sources: <https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint>,
//! <https://docs.influxdata.com/influxdb/v2/api/#operation/PostWrite>,
//! <https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/>.

use std::time::{Duration, SystemTime};

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
    Refused(Refusal),
    /// These are refused; all others were written.
    Partly(Vec<RefusedPoint>),
}

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether it is said to be about a line, or about how much there is.
    pub(super) is_of_lines: bool,
}

impl Refusal {
    pub(super) fn of_lines(reason: String) -> Self {
        Self { reason, is_of_lines: true }
    }
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
            .map_or_else(|| refused(status, &answer.text), Verdict::Partly)),
        400 | 422 => Ok(refused(status, &answer.text)),
        // A single line of ours is never too large for a server that takes any.
        413 => Ok(Verdict::Refused(Refusal {
            reason: "413: too large".to_owned(),
            is_of_lines: lines > 1,
        })),
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
        408 | 504 => failed(
            SinkErrorKind::TookTooLong,
            format!("{name} answered {status}: the write took too long"),
        ),
        // The write's own time limit, in InfluxDB 1 and 2.
        500 if answer.text.contains(TIMEOUT) => failed(
            SinkErrorKind::TookTooLong,
            format!("{name} answered {status}: the write took too long"),
        ),
        507 => failed(
            SinkErrorKind::RetryAfter(answer.retry_after),
            format!("{name} answered 507: its disk is full"),
        ),
        425 | 429 | 500.. => failed(
            SinkErrorKind::RetryAfter(answer.retry_after),
            format!("{name} answered {status}"),
        ),
        _ => failed(
            SinkErrorKind::Fatal,
            format!("{name} answered {status}, which is about the request: is this its URL?"),
        ),
    }
}

/// What `Retry-After` asks for: seconds, or a date, which is as far from now as from the answer's own
/// `Date`, so that clocks need not agree.
pub(super) fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
    Some(then.duration_since(now).unwrap_or_default())
}

fn refused(status: u16, text: &str) -> Verdict {
    let is_of_lines = OF_LINES.iter().any(|words| text.contains(words));
    Verdict::Refused(Refusal { reason: reason(status, text), is_of_lines })
}

impl Version {
    pub(super) fn name(self) -> &'static str {
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
/// What all versions say about a line, and about nothing else.
const OF_LINES: [&str; 4] =
    ["unable to parse", "partial write", "field type conflict", "line_number"];
const TIMEOUT: &str = "timeout";
/// What InfluxDB 1.6 to 1.8 say, with status 500.
const NO_RETENTION_POLICY: &str = "retention policy not found";
