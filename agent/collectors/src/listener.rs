//! A local listener that speaks InfluxDB's write API, of version 1 and 2: programs that have a client
//! write here as to a database, and what they write is handed over as points.
//!
//! The file list is the way of a request: `socket`, `connection`, `access`, `route`, `body`, `points`,
//! `answer`. On a unix socket its mode says who may write. Loopback is not a boundary, since any web
//! page can post to it: there, a token is asked for, the exact `Host`, and no `Origin`.
//!
//! Not here: databases, buckets and users (all names are taken and ignored), queries, storage.

mod access;
mod answer;
mod body;
mod config;
mod connection;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod points;
mod route;
mod socket;

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use undertone_wire::Point;

use self::{
    access::Access,
    connection::{Door, Server},
    socket::Sockets,
};

pub use self::{
    config::{Limits, ListenerConfig, SocketMode, Token},
    error::{Error, ErrorKind},
};

/// After a connection that could not be accepted: no file descriptor is left, and none will be at
/// once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// These points were not taken; the client is told to come again with the whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// When to come again, at the earliest. Whole seconds are said.
    pub retry_after: Duration,
}

/// Takes points with timestamps in nanoseconds since 1970. Called on the runtime: it must not block.
pub trait Accept: Clone + Send + Sync + 'static {
    /// The first points of a request, at most 256, as in every call.
    ///
    /// # Errors
    /// [`Full`]: the client is told to come again with all of the request.
    fn accept(&self, points: Vec<Point>) -> Result<(), Full>;

    /// Further points of a request whose first were taken. Refused, those come again beside them: that
    /// is harmless for lines with times, and doubles those without. So there should be room.
    ///
    /// # Errors
    /// [`Full`], if there is none all the same.
    fn accept_further(&self, points: Vec<Point>) -> Result<(), Full> {
        self.accept(points)
    }
}

impl<F> Accept for F
where
    F: Fn(Vec<Point>) -> Result<(), Full> + Clone + Send + Sync + 'static,
{
    fn accept(&self, points: Vec<Point>) -> Result<(), Full> {
        self(points)
    }
}

/// Sockets that are bound. Dropping it removes the unix socket.
#[derive(Debug)]
pub struct Listener {
    sockets: Sockets,
    config: ListenerConfig,
}

impl Listener {
    /// Binds the sockets; clients wait until [`serve`](Self::serve). Needs a tokio runtime with its
    /// I/O and time drivers.
    ///
    /// # Errors
    /// If there is nothing to bind, an address isn't loopback, a token is missing, or the system
    /// refuses.
    pub fn bind(config: ListenerConfig) -> Result<Self, Error> {
        let sockets = Sockets::bind(&config)?;
        Ok(Self { sockets, config })
    }

    /// The TCP address, with the port that was found where 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.sockets.address()
    }

    /// The unix socket's path.
    pub fn path(&self) -> Option<&Path> {
        self.sockets.path()
    }

    /// Answers requests until `stop` is done; then those under way, for as long as the limits allow.
    ///
    /// `accept` gets the good lines of a request; after [`Full`] nothing more of it comes.
    pub async fn serve<A, S>(self, accept: A, stop: S)
    where
        A: Accept,
        S: Future<Output = ()>,
    {
        let Self { sockets, config } = self;
        let limits = config.limits;
        let server = Arc::new(Server::new(limits.clone(), accept));
        // Each has room of its own: who fills the port doesn't keep others from the socket.
        let unix = Door::new(Access::SocketMode, limits.connections);
        let tcp = Door::new(Access::tcp(sockets.address(), config.token), limits.connections);
        let (ending, ended) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let entered = tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => Ok(()),
                entered = unix.enter(sockets.accept_unix()) => entered.map(|(stream, pass)| {
                    connections.spawn(connection::run(stream, pass, Arc::clone(&server), ended.clone()));
                }),
                entered = tcp.enter(sockets.accept_tcp()) => entered.map(|(stream, pass)| {
                    connections.spawn(connection::run(stream, pass, Arc::clone(&server), ended.clone()));
                }),
            };
            if entered.is_err() {
                sleep(ACCEPT_PAUSE).await;
            }
        }
        // Who comes now finds nobody; who is being answered is.
        drop(sockets);
        let _ = ending.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(limits.drain, all).await;
    }
}
