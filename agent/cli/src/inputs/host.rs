//! Reads this machine at an interval, on a thread of its own: a disk that hangs holds up nothing else.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use undertone::Point;
use undertone_collectors::host::{Host, HostConfig as Collected};

use super::Outlet;
use crate::config::{HostConfig, Part};

/// A thread that reads.
pub(crate) struct HostInput {
    // Dropped, it ends the thread.
    stop: mpsc::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl HostInput {
    pub(crate) fn start(config: &HostConfig, outlet: Outlet) -> Result<Self> {
        let (stop, told) = mpsc::channel::<()>();
        let (ended, stopped) = oneshot::channel();
        let (mut host, interval) = (collector(config), config.interval);
        let read = move || {
            let mut next = Instant::now();
            loop {
                let points = now(host.read());
                let count = points.len();
                if outlet.add(points).is_err() {
                    tracing::warn!(
                        "too much waits to be sent: {count} points of this machine are lost"
                    );
                }
                // What a machine that slept has missed isn't made up.
                next = (next + interval).max(Instant::now());
                let pause = next.saturating_duration_since(Instant::now());
                if told.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            drop(ended);
        };
        thread::Builder::new()
            .name("undertone-host".to_owned())
            .spawn(read)
            .context("start the thread that reads this machine")?;
        Ok(Self { stop, stopped })
    }

    /// Ends it. A disk that doesn't answer is left behind at `end`.
    pub(crate) async fn stop(self, end: tokio::time::Instant) {
        drop(self.stop);
        // It never sends: the channel closes.
        let _ = tokio::time::timeout_at(end, self.stopped).await;
    }
}

/// What reads these parts.
pub(crate) fn collector(config: &HostConfig) -> Host {
    let has = |part| config.collect.contains(&part);
    Host::new(Collected {
        root: config.root.clone(),
        system: has(Part::System),
        cpu: has(Part::Cpu),
        mem: has(Part::Memory),
        swap: has(Part::Memory),
        disk: has(Part::Disk),
        diskio: has(Part::DiskIo),
        net: has(Part::Network),
        ..Collected::default()
    })
}

/// The same points, measured now.
pub(crate) fn now(points: Vec<Point>) -> Vec<Point> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    points.into_iter().map(|point| point.at(nanoseconds)).collect()
}
