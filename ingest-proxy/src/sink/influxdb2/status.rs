//! What InfluxDB's answer means.
//!
//! Source: <https://docs.influxdata.com/influxdb/v2/api/#operation/PostWrite>.

use super::{SinkError, SinkErrorKind};

/// What came of one request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// All was written.
    Written,
    /// Something in it is refused, now and later, with the reason.
    Refused(String),
    /// It says nothing about the points.
    Failed(SinkError),
}

/// Reads a status other than 204. The text may quote points, so it goes only where they go.
pub(super) fn verdict(status: u16, text: &str) -> Verdict {
    let failed = |kind, context: String| Verdict::Failed(SinkError::new(kind, context));
    match status {
        400 | 422 => Verdict::Refused(format!("{status}: {}", shortened(text))),
        413 => Verdict::Refused(format!("{status}: too large")),
        401 | 403 => failed(
            SinkErrorKind::Fatal,
            format!("InfluxDB answered {status}: the token is not one that may write here"),
        ),
        404 => failed(
            SinkErrorKind::Fatal,
            "InfluxDB answered 404: it has no such organization or bucket, or is no InfluxDB 2"
                .to_owned(),
        ),
        200..400 => failed(
            SinkErrorKind::Fatal,
            format!(
                "the database answered {status} where InfluxDB 2 answers 204: is this its URL?"
            ),
        ),
        _ => failed(SinkErrorKind::RetryAfter(None), format!("InfluxDB answered {status}")),
    }
}

fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARACTERS).collect()
}

const REASON_CHARACTERS: usize = 300;
