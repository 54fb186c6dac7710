//! The ingest side of Undertone: publishes an onion service, admits sealed parcels, queues them
//! durably and writes them to databases.
//!
//! The file list is the way of a parcel: [`front`] (towards Tor) → `http` → `admission` →
//! [`queue`] → the answer → [`writer`], by its [`Route`] → [`sink`].

mod accept;
mod admission;
mod config;
mod control;
mod error;
pub mod front;
mod health;
mod http;
pub mod identity;
mod lines;
mod lock;
mod page;
mod proxy;
pub mod queue;
mod rate;
mod route;
mod schemas;
pub mod sink;
mod transfer;
pub mod writer;

pub use config::{Config, FrontConfig, Limits, SinkConfig, Target, UnixFront};
pub use control::Control;
pub use error::{Error, ErrorKind};
pub use health::{HealthAnswer, ask_health};
pub use proxy::{OpenProxy, Proxy};
pub use route::Route;
pub use schemas::{CurrentSchemas, Schemas};
pub use transfer::{Transferred, transfer};
pub use undertone_storage::{StorageError, StorageErrorKind, WallClock};
