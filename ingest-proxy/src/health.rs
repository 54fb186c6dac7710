//! `/health`, `/metrics` and the page for the operator, on loopback and never on the onion.
//!
//! Read-only. Any web page can send requests to loopback, so a `Host` that isn't ours is refused:
//! a page that rebinds its name to loopback reads nothing.

mod ask;

use std::{convert::Infallible, fmt::Write, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HOST, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

pub use ask::{HealthAnswer, ask_health};

use crate::{
    accept,
    admission::Admission,
    error::{Error, ErrorKind},
    front::{FrontKind, Progress},
    page::Page,
    queue::Queue,
    writer::{SinkState, stopped},
};

/// Requests answered at once.
const CONNECTIONS_LIMIT: usize = 16;
/// A connection, from the first byte to the last.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// A local port that is bound.
pub(crate) struct Health {
    listener: TcpListener,
    address: SocketAddr,
}

/// Where the answers come from.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) queue: Queue,
    pub(crate) sinks: Vec<watch::Receiver<SinkState>>,
}

impl Health {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = || {
            Error::new(ErrorKind::Health, format!("listen on {address} for /health and /metrics"))
        };
        let listener = TcpListener::bind(address).await.map_err(|error| failed().because(error))?;
        let address = listener.local_addr().map_err(|error| failed().because(error))?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that a port 0 became.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn serve(
        self,
        report: Report,
        page: Option<Page>,
        mut stop: watch::Receiver<bool>,
    ) {
        let page = Arc::new(page);
        let hosts =
            Arc::new([self.address.to_string(), format!("localhost:{}", self.address.port())]);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_LIMIT => {
                    let Some(stream) = accept::or_pause(accepted).await else { continue };
                    let (report, hosts) = (report.clone(), Arc::clone(&hosts));
                    let page = Arc::clone(&page);
                    connections.spawn(async move {
                        let service = service_fn(|request| {
                            let (report, page, hosts) = (&report, page.as_ref(), &*hosts);
                            async move {
                                Ok::<_, Infallible>(respond(request, report, page.as_ref(), hosts).await)
                            }
                        });
                        let connection = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .keep_alive(false)
                            .serve_connection(TokioIo::new(stream), service);
                        let _ = timeout(CONNECTION_LIMIT, connection).await;
                    });
                }
            }
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    report: &Report,
    page: Option<&Page>,
    hosts: &[String],
) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| hosts.iter().any(|ours| ours == host)) {
        return text(StatusCode::FORBIDDEN, "this is not the Host of this port\n".to_owned());
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => {
            let (status, body) = report.health();
            text(status, body)
        }
        (&Method::GET, "/metrics") => text(StatusCode::OK, report.metrics()),
        _ => match page {
            Some(page) => page.respond(&request.into_parts().0, report).await,
            None => text(StatusCode::NOT_FOUND, "there are /health and /metrics\n".to_owned()),
        },
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

impl Report {
    /// One line for each part; `503` while one of them needs the operator.
    fn health(&self) -> (StatusCode, String) {
        let (mut well, mut body) = front(*self.progress.borrow());
        let stats = self.queue.stats();
        let _ = writeln!(body, "queue: {} parcels wait", stats.waiting_parcels);
        let sessions = self.admission.session_counts();
        let _ = writeln!(
            body,
            "sessions: {} known with {} series, places for {} new ones now, {} wait",
            sessions.known, sessions.series, sessions.places, sessions.waiting
        );
        for sink in &self.sinks {
            let sink = sink.borrow();
            well &= sink.ok;
            let state = match &sink.last_error {
                Some(error) if !sink.ok => format!("failing: {error}"),
                _ => "ok".to_owned(),
            };
            let _ =
                writeln!(body, "sink {}: {state}, {} parcels behind", sink.name, sink.lag_parcels);
        }
        (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
    }

    /// Prometheus' text format.
    fn metrics(&self) -> String {
        let mut out = String::new();
        let stats = self.queue.stats();
        let mut counter = |name: &str, value: u64| {
            let _ = writeln!(out, "# TYPE undertone_{name} counter\nundertone_{name} {value}");
        };
        counter("parcels_admitted_total", stats.admitted().parcels);
        counter("points_admitted_total", stats.admitted().points);
        counter("parcels_replayed_total", stats.replayed());
        counter("requests_malformed_total", self.admission.counts().malformed());
        counter("requests_undecided_total", self.admission.counts().undecided());
        counter("streams_refused_total", self.progress.borrow().streams_refused);
        counter("parcels_dropped_full_total", stats.dropped_full().parcels);
        counter("parcels_dropped_old_total", stats.dropped_old().parcels);
        counter("lines_quarantined_total", stats.quarantined());
        let _ = writeln!(out, "# TYPE undertone_points_refused_total counter");
        for (reason, count) in stats.refused() {
            let _ = writeln!(out, "undertone_points_refused_total{{reason=\"{reason}\"}} {count}");
        }
        let _ = writeln!(out, "# TYPE undertone_parcels_refused_total counter");
        for (reason, count) in stats.refused_parcels() {
            let _ = writeln!(out, "undertone_parcels_refused_total{{reason=\"{reason}\"}} {count}");
        }
        let _ = writeln!(out, "# TYPE undertone_requests_limited_total counter");
        for (reason, count) in self.admission.counts().excess() {
            let _ =
                writeln!(out, "undertone_requests_limited_total{{reason=\"{reason}\"}} {count}");
        }
        let sessions = self.admission.session_counts();
        for (name, value) in [
            ("queue_parcels", stats.waiting_parcels),
            ("remembered_ids", stats.remembered_ids),
            ("sessions", sessions.known),
            ("series", sessions.series),
            ("sessions_waiting", sessions.waiting),
            ("session_places", sessions.places),
        ] {
            let _ = writeln!(out, "# TYPE undertone_{name} gauge\nundertone_{name} {value}");
        }
        let sinks: Vec<SinkState> = self.sinks.iter().map(|sink| sink.borrow().clone()).collect();
        let family = |kind: &str, name: &str, value: &dyn Fn(&SinkState) -> u64| {
            let mut text = format!("# TYPE undertone_{name} {kind}\n");
            for sink in &sinks {
                let _ =
                    writeln!(text, "undertone_{name}{{sink=\"{}\"}} {}", sink.name, value(sink));
            }
            text
        };
        out += &family("gauge", "sink_up", &|sink| u64::from(sink.ok));
        out += &family("gauge", "sink_lag_parcels", &|sink| sink.lag_parcels);
        out += &family("counter", "sink_points_written_total", &|sink| sink.written_points);
        out += &family("counter", "sink_points_refused_total", &|sink| sink.refused_points);
        out += &family("counter", "sink_points_passed_total", &|sink| sink.passed_points);
        out
    }
}

/// Whether the front is well, as far as that is known here, and its lines.
fn front(progress: Progress) -> (bool, String) {
    if progress.kind == FrontKind::Unix {
        let seen = if progress.published { "has brought" } else { "has not yet brought" };
        let mut text = format!("front: unix socket\ntor: the one in front {seen} a stream\n");
        if progress.streams_refused > 0 {
            let _ = writeln!(
                text,
                "streams that named no circuit: {} (is HiddenServiceExportCircuitID set?)",
                progress.streams_refused
            );
        }
        return (true, text);
    }
    let published = if progress.published { "published" } else { "not known to be published" };
    let percent = progress.bootstrap_percent;
    let text = format!(
        "front: onion service\ntor: bootstrapped {percent} %\nonion service: {published}\n"
    );
    (percent == 100, text)
}
