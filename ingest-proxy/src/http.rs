//! HTTP on a stream of the onion service: one route, and one constant answer to everything else
//! (invariants P8, S1). Where the configuration turns them on, there are those of [`Compatibility`], too.
//!
//! A request costs at most its fixed size in memory, and a time for its head, its body and all of it
//! (invariant S2); who is slower is cut off. Whoever asks too often is told to come back before anything
//! else is looked at. Nothing of a request is logged, and an answer has neither body nor `Date` nor
//! `Server`.

use std::{io, sync::Arc};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;
use undertone_wire::request::{BODY_LENGTH, PATH};

use crate::{
    admission::{Admission, Excess},
    compatibility::{Compatibility, Said},
    config::{Limits, count},
    front::{Answer, Circuit, Connection},
};

/// Answers requests with what [`Admission`] decides.
#[derive(Clone)]
pub(crate) struct Http {
    admission: Arc<Admission>,
    limits: Arc<Limits>,
    compatibility: Option<Arc<Compatibility>>,
}

/// What clients of InfluxDB that want a version are told, the same whatever database there is: 1.8 was the
/// one with both ways to write. The client for Python can't do without.
const VERSION: &str = "1.8.0";

impl Http {
    pub(crate) fn new(
        admission: Arc<Admission>,
        limits: Arc<Limits>,
        compatibility: Option<Arc<Compatibility>>,
    ) -> Self {
        Self { admission, limits, compatibility }
    }

    /// What a request is answered with; an error ends the stream without an answer.
    async fn respond(
        &self,
        request: Request<Incoming>,
        circuit: &Arc<Circuit>,
    ) -> io::Result<Said> {
        let counts = self.admission.counts();
        if !circuit.may_ask(&self.limits) {
            counts.count_excess(Excess::Circuit);
            return Ok(Said::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        if !is_push(&request) {
            if let Some(compatibility) = &self.compatibility {
                return compatibility.respond(request, circuit).await;
            }
            counts.count_malformed();
            return Ok(Said::Status(StatusCode::BAD_REQUEST));
        }
        let body = Limited::new(request.into_body(), BODY_LENGTH).collect();
        let body = match timeout(self.limits.body(), body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                counts.count_malformed();
                return Ok(Said::Status(StatusCode::BAD_REQUEST));
            }
            Err(_) => {
                counts.count_excess(Excess::Slow);
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        Ok(Said::from(self.admission.admit(&body, circuit).await))
    }
}

impl Answer for Http {
    async fn answer(self, stream: impl Connection, circuit: Arc<Circuit>) {
        let service = service_fn(|request| {
            let (http, circuit) = (&self, &circuit);
            async move { http.respond(request, circuit).await.map(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head())
            .max_headers(count(self.limits.head_fields))
            .max_buf_size(count(self.limits.head_bytes))
            .keep_alive(false)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        // However a connection ends, there is nobody to tell.
        match timeout(self.limits.request(), connection).await {
            Ok(Err(error)) if error.is_timeout() => {
                self.admission.counts().count_excess(Excess::Slow);
            }
            Err(_) => self.admission.counts().count_excess(Excess::Slow),
            Ok(_) => {}
        }
    }
}

/// An answer without body. What hyper would leave out for some methods is said for all, in the order
/// in which hyper says it to what it can't read.
fn answer(said: Said) -> Response<Empty<Bytes>> {
    let status = match said {
        Said::Status(status) => status,
        Said::Pong => StatusCode::NO_CONTENT,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    if said == Said::Pong {
        let version = HeaderName::from_static("x-influxdb-version");
        headers.insert(version, HeaderValue::from_static(VERSION));
    }
    response
}

fn is_push(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    request.method() == Method::POST
        && request.uri() == PATH
        && request.uri().query().is_none()
        && !headers.contains_key(TRANSFER_ENCODING)
        && !headers.contains_key(EXPECT)
        && headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length == BODY_LENGTH.to_string().as_str())
}

#[cfg(test)]
mod tests;
