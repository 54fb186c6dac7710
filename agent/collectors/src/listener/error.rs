//! Why a listener can't be.

use std::{fmt, io};

/// Why a listener could not be bound.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    source: Option<io::Error>,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Neither a unix socket nor a TCP address was given.
    NoSocket,
    /// The TCP address can be reached from other machines.
    NotLoopback,
    /// The token is missing, or can't be one.
    Token,
    /// Somebody else listens there.
    InUse,
    /// Something that isn't a socket is in the socket's place.
    NotASocket,
    /// The system refused.
    Socket,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, text: String) -> Self {
        Self { kind, text, source: None }
    }

    pub(super) fn because(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// What kind of thing is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
