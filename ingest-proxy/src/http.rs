//! HTTP on a stream of the onion service: one route, and one constant answer to everything else
//! (invariants P8, S1).
//!
//! A request costs at most its fixed size in memory and [`REQUEST_LIMIT`] in time. Nothing of it is
//! logged, and an answer has neither body nor `Date` nor `Server`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;
use undertone_wire::request::{BODY_LENGTH, PATH};

use crate::{
    admission::{Admission, Verdict},
    front::{Answer, Circuit, Connection},
};

/// A request, from the first byte to the answer. Tor is slow; 3,904 bytes are few.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Its head alone.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// Header fields; an agent sends two, what is between may add some.
const HEADERS_LIMIT: usize = 16;
/// Bytes of a connection's buffer; hyper's minimum.
const BUFFER_LIMIT: usize = 8_192;

/// Answers requests with what [`Admission`] decides.
#[derive(Clone)]
pub(crate) struct Http {
    admission: Arc<Admission>,
}

impl Http {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self { admission }
    }

    async fn respond(&self, request: Request<Incoming>, circuit: &Circuit) -> StatusCode {
        if !is_push(&request) {
            self.admission.count_malformed();
            return StatusCode::BAD_REQUEST;
        }
        let body = match Limited::new(request.into_body(), BODY_LENGTH).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                self.admission.count_malformed();
                return StatusCode::BAD_REQUEST;
            }
        };
        match self.admission.admit(&body, circuit).await {
            Verdict::Taken => StatusCode::NO_CONTENT,
            Verdict::Malformed => StatusCode::BAD_REQUEST,
            Verdict::Undecided => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Answer for Http {
    async fn answer(self, stream: impl Connection, circuit: Arc<Circuit>) {
        let service = service_fn(|request| {
            let (http, circuit) = (&self, &circuit);
            async move { Ok::<_, Infallible>(answer(http.respond(request, circuit).await)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_headers(HEADERS_LIMIT)
            .max_buf_size(BUFFER_LIMIT)
            .keep_alive(false)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        // However a connection ends, there is nobody to tell.
        let _ = timeout(REQUEST_LIMIT, connection).await;
    }
}

/// An answer without body. What hyper would leave out for some methods is said for all, in the order
/// in which hyper says it to what it can't read.
fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
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
