//! What clients of InfluxDB 1 and 2 say when they write: what the agent's local listener and the proxy's
//! compatibility routes have in common.
//!
//! The file list is the way of a request: `request` says in which words and in which unit of time,
//! `credentials` whether it knows the token, `body` decompresses within bounds, `points` reads lines. What
//! is received and answered, and where points go, is each side's own.

mod body;
mod credentials;
mod points;
mod request;

pub use body::{Body, BodyError, BodyLimits};
pub use credentials::{Token, TokenError};
pub use points::{PointError, Points, Text};
pub use request::{Dialect, Precision, parameter};
