//! Telemetry from machines that you don't own, without learning whose they are.
//!
//! An [`Agent`] reads a program's instruments, lets through what its schema declares, seals it under
//! the key of a random session and pushes it through Tor to an onion address.
//!
//! ```no_run
//! use undertone::{Agent, Consent, Transport};
//!
//! undertone::label! {
//!     /// How a request ended.
//!     pub enum Outcome in "outcome" { Ok = "ok", Failed = "failed" }
//! }
//!
//! undertone::instruments! {
//!     pub struct Metrics in "fileserver" {
//!         /// Connections accepted.
//!         connections: Counter,
//!         /// Files being sent now.
//!         open: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 50] },
//!         /// Time to answer, by outcome.
//!         latency: Timer<Outcome>,
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (ingest, folder) = ("…", "…");
//! let agent = Agent::builder(ingest.parse()?)
//!     .schema(Metrics::DECLARATION)
//!     .data_dir(folder)
//!     .consent(Consent::file("telemetry-consent"))
//!     .start()?;
//! let metrics: Metrics = agent.instruments()?;
//! metrics.connections.inc();
//! let timer = metrics.latency.start(Outcome::Ok); // records when it is dropped
//! # drop(timer);
//! agent.shutdown(std::time::Duration::from_secs(5)).wait();
//! # Ok(())
//! # }
//! ```
//!
//! The file list is the way of a number: `snapshot` → `gate` → `batch` (and `points` from elsewhere) → `session` (seals) → `spool` →
//! `pusher` → `transport`; a session's `life` moves it when `schedule` says so, and `worker` begins the
//! next one when `rotation` does. What `pusher` hands to Tor is in the `ledger` first; `preview` shows what would follow.

mod agent;
mod batch;
mod clock;
mod consent;
mod cost;
mod deletion;
mod error;
mod folder;
mod gate;
pub mod ledger;
mod life;
mod points;
mod preview;
mod probe;
mod process;
mod profile;
mod pusher;
mod rotation;
mod route;
mod schedule;
mod scope;
mod session;
mod shutdown;
pub mod simulation;
mod snapshot;
mod spool;
mod transport;
mod worker;

pub use agent::{Agent, AgentBuilder, SpoolLimits, State, Statistics};
pub use clock::{Clock, Hands};
pub use consent::{AgentConsent, Answer, Consent, OffReason, Pending, switched_off};
pub use cost::Cost;
pub use deletion::{Deleted, delete as delete_data};
pub use error::{Error, ErrorKind};
pub use ledger::Ledger;
pub use points::{Overflow, Points};
pub use preview::{Preview, PreviewParcel, Refused};
pub use probe::{Probed, probe};
pub use profile::{Profile, Rhythm};
pub use pusher::FailureKind;
pub use scope::{Scope, ScopeError};
pub use shutdown::Shutdown;
pub use spool::Drops;
pub use transport::{TorStatus, TorTrouble, Transport};
pub use undertone_instruments::*;
pub use undertone_wire::{
    FieldValue, Point,
    endpoint::Ingest,
    schema::{Change, Direction, Refusal, Schema, SchemaError},
    session::SessionId,
};
