//! One connection: requests one after another, within the limits, until it ends or has to.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::{
    Request, body::Incoming, http::request::Parts, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use undertone_wire::influxdb::{BodyError, Dialect, Precision};

use super::{
    Accept, Full,
    access::Access,
    answer::{self, Answer},
    body,
    config::Limits,
    points,
    route::{self, Route, RouteError},
};

/// Bytes of a connection's buffer: a request's head is at most twice as long.
const BUFFER_BYTES: usize = 64 * 1024;
/// Header fields of a request; clients send about ten.
const HEADERS_LIMIT: usize = 64;
/// A statement that creates a database is much shorter.
const QUERY_LIMIT_BYTES: usize = 16 * 1024;
/// When to come again if too many write at once.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Where clients of one socket come in: so many at once, by its rule.
pub(super) struct Door {
    access: Arc<Access>,
    room: Arc<Semaphore>,
}

/// What a client holds while it is in.
pub(super) struct Pass {
    access: Arc<Access>,
    _room: OwnedSemaphorePermit,
}

impl Door {
    pub(super) fn new(access: Access, connections: usize) -> Self {
        Self { access: Arc::new(access), room: semaphore(connections) }
    }

    /// The next client, as soon as there is room.
    pub(super) async fn enter<T>(
        &self,
        client: impl Future<Output = io::Result<T>>,
    ) -> io::Result<(T, Pass)> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(io::Error::other)?;
        let client = client.await?;
        Ok((client, Pass { access: Arc::clone(&self.access), _room: room }))
    }
}

/// What all connections share.
pub(super) struct Server<A> {
    limits: Limits,
    accept: A,
    /// Bodies that are received or kept.
    bodies: Arc<Semaphore>,
}

/// Serves a client until it is gone, has been here too long, or the listener ends.
pub(super) async fn run<A>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    pass: Pass,
    server: Arc<Server<A>>,
    mut ended: watch::Receiver<bool>,
) where
    A: Accept,
{
    let (server, access) = (&*server, &*pass.access);
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
    A: Accept,
{
    pub(super) fn new(limits: Limits, accept: A) -> Self {
        let bodies = semaphore(limits.requests);
        Self { limits, accept, bodies }
    }

    async fn respond(&self, request: Request<Incoming>, access: &Access) -> Answer {
        let dialect = Dialect::of(request.uri());
        let (head, mut body) = request.into_parts();
        let answered = match access.check(&head.uri, &head.headers) {
            Ok(()) => self.answer(dialect, &head, &mut body).await,
            Err(refusal) => Ok(answer::refused(dialect, refusal)),
        };
        match answered {
            // There is no rest to wait for.
            Err(why @ (BodyError::TooSlow | BodyError::Broken)) => answer::no_body(dialect, why),
            answered => {
                body::discard(&head.headers, body, &self.limits).await;
                answered.unwrap_or_else(|why| answer::no_body(dialect, why))
            }
        }
    }

    async fn answer(
        &self,
        dialect: Dialect,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Answer, BodyError> {
        match Route::parse(&head.method, &head.uri) {
            Ok(Route::Write(precision)) => self.write(dialect, precision, head, body).await,
            Ok(Route::Ping) => Ok(answer::pong()),
            Ok(Route::Health) => Ok(answer::health()),
            Ok(Route::Query(Some(query))) => Ok(create_database(dialect, &query)),
            Ok(Route::Query(None)) => {
                let limits = Limits {
                    body_bytes: QUERY_LIMIT_BYTES,
                    decompressed_bytes: QUERY_LIMIT_BYTES,
                    ..self.limits.clone()
                };
                let form = body::receive(&head.headers, body, &limits).await?;
                let query = form_urlencoded::parse(&form).find(|(key, _)| key == "q");
                Ok(create_database(dialect, query.as_ref().map_or("", |(_, query)| query)))
            }
            Err(why) => Ok(answer::no_route(dialect, why)),
        }
    }

    /// Hands over what a body says.
    async fn write(
        &self,
        dialect: Dialect,
        precision: Precision,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Answer, BodyError> {
        let Ok(Ok(_permit)) = timeout(self.limits.body, self.bodies.acquire()).await else {
            return Ok(answer::full(dialect, BUSY_PAUSE));
        };
        let text = body::receive(&head.headers, body, &self.limits).await?;
        Ok(match points::hand_over(&text, precision, now_nanoseconds(), &self.accept).await {
            Ok(outcome) if outcome.refused > 0 => answer::bad_lines(dialect, &outcome),
            Ok(_) => answer::taken(),
            Err(Full { retry_after }) => answer::full(dialect, retry_after),
        })
    }
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)))
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
