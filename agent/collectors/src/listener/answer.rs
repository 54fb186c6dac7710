//! Answers, in InfluxDB's words, so that its clients know what to do with them.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::json;
use undertone_wire::influxdb::{BodyError, Dialect};

use super::{access::Refusal, points::Outcome, route::RouteError};

/// What clients that look for a version are told: 1.8 is the InfluxDB that had both write APIs.
const VERSION: &str = "1.8.0";

pub(super) type Answer = Response<Full<Bytes>>;

/// All lines were taken.
pub(super) fn taken() -> Answer {
    with_version(StatusCode::NO_CONTENT, String::new())
}

/// Somebody is here.
pub(super) fn pong() -> Answer {
    with_version(StatusCode::NO_CONTENT, String::new())
}

/// All is well, as far as a listener knows.
pub(super) fn health() -> Answer {
    let body = json!({
        "name": "influxdb",
        "message": "ready for writes",
        "status": "pass",
        "checks": [],
        "version": VERSION,
    });
    with_version(StatusCode::OK, body.to_string())
}

/// There is no database to create, which is as good as one that exists.
pub(super) fn database_exists() -> Answer {
    with_version(StatusCode::OK, json!({ "results": [{ "statement_id": 0 }] }).to_string())
}

/// Some lines, or all, are bad.
pub(super) fn bad_lines(dialect: Dialect, outcome: &Outcome) -> Answer {
    let Outcome { taken, refused, errors } = outcome;
    let mut text = String::new();
    for error in errors {
        let separator = if text.is_empty() { "" } else { "\n" };
        text = format!("{text}{separator}unable to parse {error}");
    }
    if *refused > errors.len() {
        text = format!("{text}\nand {} lines more", refused - errors.len());
    }
    if *taken > 0 {
        text = format!("partial write: {text} dropped={refused}");
    }
    error(dialect, StatusCode::BAD_REQUEST, &text)
}

/// There is no room for all of it.
pub(super) fn full(dialect: Dialect, retry_after: Duration) -> Answer {
    let mut answer =
        error(dialect, StatusCode::SERVICE_UNAVAILABLE, "no room for these points now: try again");
    let seconds = retry_after.as_secs_f64().ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds as u64));
    answer
}

pub(super) fn no_route(dialect: Dialect, why: RouteError) -> Answer {
    let (status, text) = match (why, dialect) {
        (RouteError::NotFound, _) => (StatusCode::NOT_FOUND, "path not found"),
        (RouteError::Precision, Dialect::V1) => {
            (StatusCode::BAD_REQUEST, "invalid precision (use n, u, ms, s, m or h)")
        }
        (RouteError::Precision, Dialect::V2) => (
            StatusCode::BAD_REQUEST,
            "invalid precision; valid precision units are ns, us, ms, and s",
        ),
    };
    closing(error(dialect, status, text))
}

pub(super) fn refused(dialect: Dialect, why: Refusal) -> Answer {
    let (status, text) = match (why, dialect) {
        (Refusal::Token, Dialect::V1) => (StatusCode::UNAUTHORIZED, "authorization failed"),
        (Refusal::Token, Dialect::V2) => (StatusCode::UNAUTHORIZED, "unauthorized access"),
        (Refusal::Host, _) => (StatusCode::FORBIDDEN, "this is not the Host of this port"),
        (Refusal::Origin, _) => (StatusCode::FORBIDDEN, "web pages may not write here"),
    };
    closing(error(dialect, status, text))
}

pub(super) fn no_body(dialect: Dialect, why: BodyError) -> Answer {
    let (status, text) = match why {
        BodyError::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "unable to read data: points batch is too large")
        }
        BodyError::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "unable to read data: it came too slowly")
        }
        BodyError::Broken => (StatusCode::BAD_REQUEST, "unable to read data: it ended too early"),
        BodyError::Encoding => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unable to read data: the content encoding is neither gzip nor identity",
        ),
        BodyError::Gzip => (StatusCode::BAD_REQUEST, "unable to read data: gzip: invalid data"),
    };
    closing(error(dialect, status, text))
}

fn error(dialect: Dialect, status: StatusCode, text: &str) -> Answer {
    let body = match dialect {
        Dialect::V1 => json!({ "error": text }),
        Dialect::V2 => json!({ "code": code(status), "message": text }),
    };
    let mut answer = with_version(status, body.to_string());
    // Clients of version 1 look for it here. A header can't have line breaks.
    if let (Dialect::V1, Ok(text)) = (dialect, HeaderValue::from_str(&text.replace('\n', "; "))) {
        answer.headers_mut().insert(HeaderName::from_static("x-influxdb-error"), text);
    }
    answer
}

/// What version 2 calls a status.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "invalid",
    }
}

fn with_version(status: StatusCode, body: String) -> Answer {
    let is_empty = body.is_empty();
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let version = HeaderName::from_static("x-influxdb-version");
    headers.insert(version, HeaderValue::from_static(VERSION));
    if !is_empty {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
    }
    answer
}

/// The same answer as a connection's last: whatever else is on its way isn't wanted.
fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
