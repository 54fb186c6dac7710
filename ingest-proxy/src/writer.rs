//! Takes what waits in the queue to one sink: in order, until it is taken, however long that takes.
//!
//! A position is moved only after the sink said yes, so a crash writes some points twice and
//! loses none; sinks are idempotent. A line that is refused for good is set aside in the queue's
//! quarantine and doesn't hold up the rest. Points are never logged.

mod backoff;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use undertone_storage::{StorageError, StorageErrorKind};
use undertone_wire::Point;

use crate::lines;
use crate::queue::{PointBatch, Quarantined, Queue};
use crate::route::Route;
use crate::sink::{RefusedPoint, Sink, SinkError, SinkErrorKind};

use backoff::Backoff;

/// What bounds a [`Writer`].
#[derive(Debug, Clone)]
pub struct WriterLimits {
    /// About how many points are written at once.
    pub points: usize,
    /// How long one write may take. After that, fewer points are tried.
    pub write: Duration,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause, unless the sink asks for a longer one; also the pause after a fatal one.
    pub longest_pause: Duration,
    /// The longest pause that a sink can ask for.
    pub longest_asked: Duration,
    /// How long what waits is still written after the signal to stop.
    pub drain: Duration,
}

impl Default for WriterLimits {
    /// 5,000 points in 2 minutes; pauses from 0.5 s to 60 s, 15 minutes if asked; 5 s to drain.
    fn default() -> Self {
        Self {
            points: 5_000,
            write: Duration::from_secs(120),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            longest_asked: Duration::from_secs(15 * 60),
            drain: Duration::from_secs(5),
        }
    }
}

/// How a sink is doing. For the operator; no client sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkState {
    /// The sink's name in the configuration.
    pub name: String,
    /// Whether the last attempt succeeded; also true before the first.
    pub ok: bool,
    /// What went wrong with the last attempt.
    pub last_error: Option<String>,
    /// About how many parcels wait for it.
    pub lag_parcels: u64,
    /// Points written since the start.
    pub written_points: u64,
    /// Points that it refused since the start.
    pub refused_points: u64,
    /// Points since the start that were passed over, as this sink isn't given their namespace.
    pub passed_points: u64,
}

/// Writes to one sink.
pub struct Writer {
    name: String,
    sink: Arc<dyn Sink>,
    queue: Queue,
    route: Route,
    limits: WriterLimits,
    /// How many points the next write may have.
    points: usize,
    state: watch::Sender<SinkState>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer from `queue` to `sink`. The name must be among those given to
    /// [`Queue::register_sinks`].
    pub fn new(
        name: impl Into<String>,
        sink: Arc<dyn Sink>,
        queue: Queue,
        limits: WriterLimits,
    ) -> Self {
        let name = name.into();
        let state = SinkState { name: name.clone(), ok: true, ..SinkState::default() };
        let points = limits.points;
        let state = watch::Sender::new(state);
        Self { name, sink, queue, route: Route::default(), limits, points, state }
    }

    /// The same for only a part of the points. The others are passed over.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// How the sink is doing, now and later.
    pub fn state(&self) -> watch::Receiver<SinkState> {
        self.state.subscribe()
    }

    /// Writes until `shutdown` is true or its sender gone, then drains as long as that is allowed
    /// and succeeds.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) {
        let name = self.name.clone();
        let drain = self.limits.drain;
        let mut signal = shutdown.clone();
        tokio::select! {
            () = self.work(shutdown) => {}
            () = async { stopped(&mut signal).await; tokio::time::sleep(drain).await } => {
                tracing::warn!(sink = name, "stopped before all was written; the rest is kept");
            }
        }
    }

    async fn work(&mut self, mut shutdown: watch::Receiver<bool>) {
        let mut arrivals = self.queue.arrivals();
        let mut backoff = Backoff::new(&self.limits);
        loop {
            arrivals.mark_unchanged();
            let attempt = self.step().await;
            self.measure_lag().await;
            match attempt {
                Ok(Step::Wrote) => backoff.succeeded(),
                Ok(Step::Nothing) => {
                    if is_stopping(&shutdown) {
                        return;
                    }
                    tokio::select! {
                        changed = arrivals.changed() => if changed.is_err() { return },
                        () = stopped(&mut shutdown) => {}
                    }
                }
                Err(failure) => {
                    if failure.is_final() {
                        return;
                    }
                    self.record(&failure);
                    if is_stopping(&shutdown) {
                        return;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff.failed(&failure)) => {}
                        () = stopped(&mut shutdown) => return,
                    }
                }
            }
        }
    }

    /// Writes one batch and moves the position behind it.
    async fn step(&mut self) -> Result<Step, Failure> {
        let mut batch = self.queue.read(&self.name, self.points).await.map_err(Failure::Queue)?;
        let Some(through) = batch.through else { return Ok(Step::Nothing) };
        if batch.unreadable > 0 {
            tracing::error!(lines = batch.unreadable, "stored lines can't be read: damaged file");
        }
        let read = batch.points.len();
        batch.points.retain(|point| self.route.takes(&point.measurement));
        let passed = read - batch.points.len();
        let refused = self.write(&batch).await?;
        let lines = refused.iter().filter_map(|refused| self.set_aside(&batch, refused)).collect();
        self.queue.advance(&self.name, through, lines).await.map_err(Failure::Queue)?;

        self.points = (self.points * 2).min(self.limits.points);
        self.state.send_modify(|state| {
            if !state.ok {
                tracing::info!(sink = state.name, "the sink takes points again");
            }
            state.ok = true;
            state.last_error = None;
            state.written_points += (batch.points.len() - refused.len()) as u64;
            state.refused_points += refused.len() as u64;
            state.passed_points += passed as u64;
        });
        Ok(Step::Wrote)
    }

    /// The points that were refused for good; all others were written.
    async fn write(&mut self, batch: &PointBatch) -> Result<Vec<RefusedPoint>, Failure> {
        if batch.points.is_empty() {
            return Ok(Vec::new());
        }
        match timeout(self.limits.write, self.sink.write(&batch.points)).await {
            Ok(Ok(())) => Ok(Vec::new()),
            Ok(Err(error)) => match error.kind() {
                SinkErrorKind::LinesRefused(refused) => {
                    let mut refused = refused.clone();
                    refused.retain(|point| point.index < batch.points.len());
                    refused.sort_by_key(|point| point.index);
                    refused.dedup_by_key(|point| point.index);
                    tracing::warn!(sink = self.name, lines = refused.len(), "lines were refused");
                    Ok(refused)
                }
                SinkErrorKind::TookTooLong => Err(self.try_fewer(error)),
                _ => Err(Failure::Sink(error)),
            },
            Err(_) => {
                let error = SinkError::new(SinkErrorKind::TookTooLong, "the write took too long");
                Err(self.try_fewer(error))
            }
        }
    }

    /// The next write is smaller, so that a slow sink gets on at all.
    fn try_fewer(&mut self, error: SinkError) -> Failure {
        self.points = (self.points / 2).max(1);
        Failure::Sink(error)
    }

    fn set_aside(&self, batch: &PointBatch, refused: &RefusedPoint) -> Option<Quarantined> {
        let point: &Point = batch.points.get(refused.index)?;
        let mut line = String::new();
        lines::append(point, &mut line).ok()?;
        Some(Quarantined {
            sink: self.name.clone(),
            reason: refused.reason.clone(),
            line: line.trim_end_matches('\n').to_owned(),
        })
    }

    fn record(&self, failure: &Failure) {
        let text = failure.report();
        self.state.send_modify(|state| {
            if state.last_error.as_ref() != Some(&text) {
                tracing::warn!(sink = state.name, error = text, "the sink doesn't take points");
            }
            state.ok = false;
            state.last_error = Some(text);
        });
    }

    async fn measure_lag(&self) {
        if let Ok(lag) = self.queue.lag(&self.name).await {
            self.state.send_if_modified(|state| {
                let changed = state.lag_parcels != lag;
                state.lag_parcels = lag;
                changed
            });
        }
    }
}

enum Step {
    Wrote,
    Nothing,
}

/// What went wrong with a batch.
enum Failure {
    Sink(SinkError),
    Queue(StorageError),
}

impl Failure {
    /// The queue was closed: nothing will ever come again.
    fn is_final(&self) -> bool {
        matches!(self, Self::Queue(error) if error.kind() == StorageErrorKind::Closed)
    }

    fn report(&self) -> String {
        match self {
            Self::Sink(error) => error.report(),
            Self::Queue(error) => format!("the queue failed: {error}"),
        }
    }
}

fn is_stopping(shutdown: &watch::Receiver<bool>) -> bool {
    *shutdown.borrow() || shutdown.has_changed().is_err()
}

pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to say so: stop as well.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
