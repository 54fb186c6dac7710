//! Arti as both the agent and the ingest proxy run it. Not for use by others: its types are arti's.
//!
//! - [`runtime`]: arti's runtime on a tokio handle, without touching the process's rustls provider;
//! - [`tls`]: the TLS part of it, with ring named explicitly;
//! - [`configuration`]: arti's configuration from TOML, with unknown keys refused.

pub mod configuration;
mod runtime;
mod tls;

pub use configuration::{ConfigurationError, configuration, quoted};
pub use runtime::{TorRuntime, runtime};
