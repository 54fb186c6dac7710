//! What can go wrong while an agent is being started.

use std::fmt;

/// Why an agent can't be started.
///
/// Nothing that happens later is an error of the host's: it shows in [`crate::Agent::state`].
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
    /// The schema has a name or a list that isn't allowed.
    Schema,
    /// Tor's configuration isn't one.
    TorConfiguration,
    /// The folder with the keys that services are found by can't be used; see [`crate::Transport::with_client_keys`].
    ClientKeys,
    /// No thread or file descriptor is left for the agent's runtime.
    Resources,
    /// The user's answer can't be written down, or not here.
    Consent,
    /// The ledger can't be read.
    Ledger,
    /// Something that must be set before the start wasn't.
    Incomplete,
    /// Two settings that can't be had together.
    Contradiction,
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

    /// Whether the same start may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Resources
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
