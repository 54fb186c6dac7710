//! What a listener is told: where, who, and how much.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use hyper::{Uri, header::HeaderMap};
use undertone_wire::influxdb;

use super::error::{Error, ErrorKind};

/// A unix socket, a TCP port on loopback, or both.
#[derive(Debug, Clone, Default)]
pub struct ListenerConfig {
    /// Path of a unix socket. Who may open it may write; no token is asked for.
    pub unix: Option<PathBuf>,
    /// Who may open it.
    pub unix_mode: SocketMode,
    /// Address on loopback. Port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// What clients on TCP have to know; needed there.
    pub token: Option<Token>,
    /// What a listener takes.
    pub limits: Limits,
}

/// Who may open a unix socket, as far as they can reach its folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SocketMode {
    /// Programs of this user: 0600.
    #[default]
    User,
    /// Also programs of the file's group: 0660. That is this process's group, or the folder's where the folder
    /// has the set-group-ID bit.
    Group,
    /// All programs on this machine: 0666.
    All,
}

impl SocketMode {
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::User => 0o600,
            Self::Group => 0o660,
            Self::All => 0o666,
        }
    }
}

/// What a client on TCP gives as the token (version 2) or the password (version 1).
#[derive(Clone)]
pub struct Token(influxdb::Token);

impl Token {
    /// # Errors
    /// If it is shorter than 16 characters, or has others than visible ASCII, which can't stand in a
    /// request's head.
    pub fn new(token: impl Into<String>) -> Result<Self, Error> {
        let token = influxdb::Token::new(token);
        token
            .map(Self)
            .map_err(|why| Error::new(ErrorKind::Token, format!("the listener's token {why}")))
    }

    /// Whether a request carries it.
    pub(super) fn is_in(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.0.is_in(uri, headers)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bounds on what clients can make a listener do. Memory for bodies is at most `requests` times the
/// larger of the two sizes, and twice that for those that aren't UTF-8.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, of each socket; further ones wait.
    pub connections: usize,
    /// Requests at once whose body is received or kept; further ones wait, for as long as a body may
    /// take, and are then asked to come again.
    pub requests: usize,
    /// Time to receive a request's head. This is also how long a connection may be idle.
    pub head: Duration,
    /// Time to receive a body.
    pub body: Duration,
    /// How long a connection lives: the first request that is answered later is its last.
    pub connection: Duration,
    /// Time for requests under way when the listener stops, or a connection has lived its time.
    pub drain: Duration,
    /// Bytes of a body as it is received.
    pub body_bytes: usize,
    /// Bytes of a body that came compressed.
    pub decompressed_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            requests: 8,
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            connection: Duration::from_secs(600),
            drain: Duration::from_secs(3),
            body_bytes: 8 * 1024 * 1024,
            decompressed_bytes: 8 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_printable_and_never_printed() {
        for refused in
            ["", "s3cret", "fifteen letters", "with a space in it", "with-an-ümlaut-in-it"]
        {
            let error = Token::new(refused).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Token);
            assert!(refused.is_empty() || !error.to_string().contains(refused), "{error}");
        }
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
