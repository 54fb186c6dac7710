//! Where points go in the end: the trait that a destination implements, and how it says no.
//!
//! A sink gets the same points again after any failure, so writing must be idempotent: points of
//! one series and time overwrite each other. A sink never waits or repeats by itself; the writer
//! does.

pub mod embedded;
pub mod influxdb;
pub mod influxdb1;
pub mod influxdb2;
pub mod influxdb3;

use std::borrow::Cow;
use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use undertone_wire::Point;

/// What [`Sink::write`] returns; boxed, so that sinks can be chosen at run time.
pub type SinkFuture<'a> = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'a>>;

/// A destination of points.
///
/// ```
/// # use undertone_ingest_proxy::sink::{Sink, SinkFuture};
/// # use undertone_wire::Point;
/// struct Counter(std::sync::atomic::AtomicUsize);
///
/// impl Sink for Counter {
///     fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
///         Box::pin(async move {
///             self.0.fetch_add(points.len(), std::sync::atomic::Ordering::Relaxed);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Writes points, all of which have a time in nanoseconds since 1970.
    ///
    /// `Ok` promises that all of them are as durable as the destination makes them. The future may
    /// be dropped at any time; the points then come again.
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a>;
}

impl<S: Sink + ?Sized> Sink for std::sync::Arc<S> {
    fn write<'a>(&'a self, points: &'a [Point]) -> SinkFuture<'a> {
        (**self).write(points)
    }
}

/// Why a sink did not take points.
///
/// Its text is for the operator, and goes to the log: it must not quote points.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct SinkError {
    kind: SinkErrorKind,
    context: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is to be done about a [`SinkError`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// Try again; after this time, if the destination named one.
    RetryAfter(Option<Duration>),
    /// No answer came in time: try again with fewer points, so that a slow destination gets on at all.
    TookTooLong,
    /// These points will never be taken. All others of the same call were written.
    LinesRefused(Vec<RefusedPoint>),
    /// Nothing is taken until somebody changes the configuration here or there, such as a wrong
    /// token or an unknown bucket. The points are kept, and tried again slowly.
    Fatal,
}

/// A point that a destination refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPoint {
    /// Its index in the slice that was to be written.
    pub index: usize,
    /// Why, in the destination's words. It is kept beside the point and not logged, so it may quote
    /// it.
    pub reason: String,
}

impl SinkError {
    /// An error of a kind; `context` says what could not be done.
    pub fn new(kind: SinkErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What is to be done about it.
    pub fn kind(&self) -> &SinkErrorKind {
        &self.kind
    }

    /// Whether the same points may be taken later without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, SinkErrorKind::RetryAfter(_) | SinkErrorKind::TookTooLong)
    }

    /// The error and its causes in one line, for the operator.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut source = Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
