//! What points come from while the agent runs: this machine, and other programs on it.

mod host;
mod listener;
mod outlet;

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::config::Config;

pub(crate) use host::{collector, now};
pub(crate) use outlet::{Outlet, mark};

/// How long inputs may take to end: what was accepted is handed over, nothing else is waited for.
const STOP_LIMIT: Duration = Duration::from_millis(1_500);

/// Running inputs. They end when this is dropped; [`Inputs::stop`] waits for it.
pub(crate) struct Inputs {
    host: Option<host::HostInput>,
    listeners: Vec<listener::ListenerInput>,
}

impl Inputs {
    /// Starts those that are configured. Needs a tokio runtime.
    ///
    /// # Errors
    /// If a listener can't listen; then nothing was started.
    pub(crate) fn start(config: &Config, outlet: &Outlet) -> Result<Self> {
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            listeners.push(listener::ListenerInput::start(listener, outlet.clone())?);
        }
        let host = match config.host.collect.is_empty() {
            true => None,
            false => Some(host::HostInput::start(&config.host, outlet.clone())?),
        };
        Ok(Self { host, listeners })
    }

    /// Ends them: when this is done nobody listens, and all that was accepted was handed over.
    pub(crate) async fn stop(self) {
        let end = tokio::time::Instant::now() + STOP_LIMIT;
        let mut ending = JoinSet::new();
        for listener in self.listeners {
            ending.spawn(listener.stop(end));
        }
        while ending.join_next().await.is_some() {}
        if let Some(host) = self.host {
            host.stop(end).await;
        }
    }
}
