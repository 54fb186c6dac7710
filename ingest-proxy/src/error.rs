//! What can go wrong while a proxy is opened or runs.

use std::fmt;

/// Why a proxy can't be opened, or stopped by itself. For the operator: no client sees it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A configuration or schema file, which names line and key.
    Configuration,
    /// Files: the data folder, the queue, the embedded store.
    Storage,
    /// Tor, the keystore, or the onion service.
    Tor,
    /// A key that is to be the onion service's identity, or that is in the way of one.
    Identity,
    /// Who may find the onion service: a client's name or key, or too many of them.
    Clients,
    /// The unix socket that a tor in front connects to.
    Socket,
    /// The local port of `/health`, `/metrics` and the operator page.
    Health,
    /// A sink that doesn't take points.
    Sink,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub(crate) fn because(
        self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.kind, ErrorKind::Configuration)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
