//! Counters, gauges, meters, histograms and timers with the semantics of go-metrics, and declarations of them.
//!
//! Handles are cheap to clone and may be used on any thread. Recording is a few atomic operations: it takes no lock,
//! never panics and needs no async runtime. Nothing reads a clock but timers, which measure with the monotonic one.
//! Nothing leaves the process from here either: whoever owns a [`Registry`] reads it. The crate has no dependencies, so
//! that a library may be instrumented without its users noticing.
//!
//! Begin with [`instruments!`].

pub mod buckets;
mod cells;
mod counter;
mod declaration;
mod distribution;
mod ewma;
mod gauge;
mod histogram;
mod instrument;
mod label;
mod macros;
mod meter;
mod reading;
mod registry;
mod timer;

pub use counter::Counter;
pub use declaration::{
    Declaration, Digits, InstrumentDeclaration, Instruments, Kind, LabelDeclaration,
};
pub use distribution::Distribution;
pub use gauge::{Gauge, GaugeValue};
pub use histogram::Histogram;
pub use instrument::Instrument;
pub use label::{Dimension, Label};
pub use meter::Meter;
pub use reading::{Rates, Reading, Value};
pub use registry::{RegisterError, Registry};
pub use timer::{RunningTimer, Timer};
