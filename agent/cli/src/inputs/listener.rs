//! Takes what other programs on this machine write, through the collectors' listener.

use std::time::Duration;

use anyhow::Result;
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};
use undertone::Point;
use undertone_collectors::listener::{
    Accept, Full, Limits, Listener, ListenerConfig as Listening, Token,
};

use super::Outlet;
use crate::config::ListenerConfig;

/// When the agent has no room for points: it will have after some pushes.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// For requests under way when it is told to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// A listener at work. It ends when this is dropped.
pub(crate) struct ListenerInput {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl ListenerInput {
    pub(crate) fn start(config: &ListenerConfig, outlet: Outlet) -> Result<Self> {
        let listening = listening(config)?;
        let listener = Listener::bind(listening)?;
        let (stop, told) = oneshot::channel();
        let stopped = async move {
            let _ = told.await;
        };
        let serving = tokio::spawn(listener.serve(outlet, stopped));
        Ok(Self { stop, serving })
    }

    /// Ends it: when this is done nobody listens there, and what was accepted was handed over. What is
    /// still under way at `end` is cut off.
    pub(crate) async fn stop(self, end: Instant) {
        let Self { stop, mut serving } = self;
        drop(stop);
        if tokio::time::timeout_at(end, &mut serving).await.is_err() {
            serving.abort();
            let _ = serving.await;
        }
    }
}

/// Who wrote has the points still, and tries again.
const FULL: Full = Full { retry_after: RETRY_AFTER };

impl Accept for Outlet {
    fn accept(&self, points: Vec<Point>) -> Result<(), Full> {
        self.add(points).map_err(|_| FULL)
    }

    fn accept_further(&self, points: Vec<Point>) -> Result<(), Full> {
        self.add_further(points).map_err(|_| FULL)
    }
}

fn listening(config: &ListenerConfig) -> Result<Listening> {
    let limits = Limits { drain: DRAIN, ..Limits::default() };
    Ok(match config {
        ListenerConfig::Unix { path, mode } => {
            let unix = Some(path.clone());
            Listening { unix, unix_mode: *mode, limits, ..Listening::default() }
        }
        ListenerConfig::Tcp { address, token } => {
            let token = Some(Token::new(token.reveal())?);
            Listening { tcp: Some(*address), token, limits, ..Listening::default() }
        }
    })
}
