//! The ingest side of Undertone: publishes an onion service, admits sealed parcels, queues them
//! durably and writes them to databases.
//!
//! The file list is the way of a parcel: [`front`] (towards Tor) → `http` → `admission` →
//! [`queue`] → the answer → [`writer`] → [`sink`].

mod admission;
mod config;
mod error;
pub mod front;
mod health;
mod http;
mod lines;
mod proxy;
pub mod queue;
mod schemas;
pub mod sink;
mod sqlite;
pub mod writer;

pub use config::{Config, FrontConfig, SinkConfig, Target, UnixFront};
pub use error::{Error, ErrorKind};
pub use proxy::{OpenProxy, Proxy};
pub use schemas::Schemas;
pub use sqlite::{StorageError, StorageErrorKind, WallClock};
