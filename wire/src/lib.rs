//! What Undertone's agent and ingest proxy say to each other.
//!
//! The file list is the way of a number: a [`reading`] becomes a [`Point`], points are written as
//! [`line_protocol`] into a [`batch`], a batch is sealed under a [`session`]'s key into a
//! [`parcel`], and a parcel is delivered by one [`request`] to an [`endpoint`]. What may be said at
//! all stands in a [`schema`].
//!
//! Pure: no input or output, no clock, no randomness, no runtime, no Tor.

pub mod batch;
pub mod endpoint;
#[cfg(feature = "influxdb")]
pub mod influxdb;
pub mod line_protocol;
pub mod parcel;
mod point;
pub mod reading;
pub mod request;
pub mod schema;
pub mod session;

pub use point::{FieldValue, Fields, Name, Point, Tags};
