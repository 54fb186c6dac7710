//! One connection: requests one after another, within the limits, until it ends or has to.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use undertone_wire::Point;

use super::{
    Full,
    access::Access,
    answer::{self, Answer},
    body::{self, BodyError},
    config::Limits,
    points,
    route::{self, Dialect, Precision, Route, RouteError},
};

/// Bytes of a connection's buffer: a request's head is at most twice as long.
const BUFFER_BYTES: usize = 64 * 1024;
/// Header fields of a request; clients send about ten.
const HEADERS_LIMIT: usize = 64;
/// A statement that creates a database is much shorter.
const QUERY_LIMIT_BYTES: usize = 16 * 1024;
/// When to come again if too many write at once.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Server<A> {
    limits: Limits,
    accept: A,
    /// Bodies that are received or kept.
    bodies: Semaphore,
}

/// Serves a client until it is gone, has been here too long, or the listener ends.
pub(super) async fn run<A>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    server: Arc<Server<A>>,
    access: Arc<Access>,
    mut ended: watch::Receiver<bool>,
) where
    A: Fn(Vec<Point>) -> Result<(), Full>,
{
    let (server, access) = (&*server, &*access);
    let limits = &server.limits;
    let service =
        service_fn(
            |request| async move { Ok::<_, Infallible>(server.respond(request, access).await) },
        );
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // However a connection ends, there is nobody to tell.
        _ = connection.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => {}
        () = sleep(limits.connection) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.drain, connection).await;
}

impl<A> Server<A>
where
    A: Fn(Vec<Point>) -> Result<(), Full>,
{
    pub(super) fn new(limits: Limits, accept: A) -> Self {
        let bodies = Semaphore::new(limits.requests.clamp(1, Semaphore::MAX_PERMITS));
        Self { limits, accept, bodies }
    }

    async fn respond(&self, request: Request<Incoming>, access: &Access) -> Answer {
        let dialect = Dialect::of(request.uri());
        let (head, mut body) = request.into_parts();
        if let Err(refusal) = access.check(&head.uri, &head.headers) {
            body::discard(body, &self.limits).await;
            return answer::refused(dialect, refusal);
        }
        let answered = match Route::parse(&head.method, &head.uri) {
            Ok(Route::Write(precision)) => {
                let Ok(Ok(_permit)) = timeout(self.limits.body, self.bodies.acquire()).await else {
                    body::discard(body, &self.limits).await;
                    return answer::full(dialect, BUSY_PAUSE);
                };
                match body::receive(&head.headers, &mut body, &self.limits).await {
                    Ok(text) => return self.write(dialect, precision, &text).await,
                    Err(why) => Err(why),
                }
            }
            Ok(Route::Ping) => Ok(answer::pong()),
            Ok(Route::Health) => Ok(answer::health()),
            Ok(Route::Query(query)) => {
                let limits = Limits { body_bytes: QUERY_LIMIT_BYTES, ..self.limits.clone() };
                match query {
                    Some(query) => Ok(create_database(dialect, &query)),
                    None => body::receive(&head.headers, &mut body, &limits).await.map(|form| {
                        let mut parameters = form_urlencoded::parse(&form);
                        let query = parameters.find(|(key, _)| key == "q");
                        create_database(dialect, query.as_ref().map_or("", |(_, query)| query))
                    }),
                }
            }
            Err(why) => Ok(answer::no_route(dialect, why)),
        };
        match answered {
            Err(why @ (BodyError::TooSlow | BodyError::Broken)) => answer::no_body(dialect, why),
            answered => {
                body::discard(body, &self.limits).await;
                answered.unwrap_or_else(|why| answer::no_body(dialect, why))
            }
        }
    }

    /// Hands over what a body says.
    async fn write(&self, dialect: Dialect, precision: Precision, text: &[u8]) -> Answer {
        match points::hand_over(text, precision, now_nanoseconds(), &self.accept).await {
            Ok(outcome) if outcome.refused > 0 => answer::bad_lines(dialect, &outcome),
            Ok(_) => answer::taken(),
            Err(Full { retry_after }) => answer::full(dialect, retry_after),
        }
    }
}

fn create_database(dialect: Dialect, query: &str) -> Answer {
    if route::is_create_database(query) {
        answer::database_exists()
    } else {
        answer::no_route(dialect, RouteError::NotFound)
    }
}

/// The time, for lines that have none.
fn now_nanoseconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX - 1)
}
