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
    connection::Server,
    socket::{Sockets, Stream},
};

pub use self::{
    config::{Limits, ListenerConfig, Token},
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
    /// `accept` gets the good lines of a request, at most 256 a call, with timestamps in nanoseconds
    /// since 1970. It is called on the runtime and must not block. After [`Full`] nothing more of that
    /// request comes, and what was taken of it before comes again with the next: a database overwrites
    /// points of the same series and time.
    pub async fn serve<A, S>(self, accept: A, stop: S)
    where
        A: Fn(Vec<Point>) -> Result<(), Full> + Clone + Send + Sync + 'static,
        S: Future<Output = ()>,
    {
        let Self { sockets, config } = self;
        let limits = config.limits;
        let server = Arc::new(Server::new(limits.clone(), accept));
        let unix = Arc::new(Access::SocketMode);
        let tcp = Arc::new(Access::tcp(sockets.address(), config.token));
        let (ending, ended) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                stream = sockets.accept(), if connections.len() < limits.connections => {
                    let (server, ended) = (Arc::clone(&server), ended.clone());
                    match stream {
                        Ok(Stream::Unix(stream)) => {
                            let access = Arc::clone(&unix);
                            connections.spawn(connection::run(stream, server, access, ended));
                        }
                        Ok(Stream::Tcp(stream)) => {
                            let access = Arc::clone(&tcp);
                            connections.spawn(connection::run(stream, server, access, ended));
                        }
                        Err(_) => sleep(ACCEPT_PAUSE).await,
                    }
                }
            }
        }
        // Who comes now finds nobody; who is being answered is.
        drop(sockets);
        let _ = ending.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(limits.drain, all).await;
    }
}
