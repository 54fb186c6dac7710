//! What goes to standard error, and how much of it; both can change while the agent runs.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::LogConfig;

/// Directives in this variable win over the configuration.
const VARIABLE: &str = "UNDERTONE_LOG";

/// Changes what is logged.
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logging {
    /// Begins to log.
    pub(crate) fn start(config: LogConfig) -> Self {
        let (filter, handle) = reload::Layer::new(filter(config));
        let lines = fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false);
        let registry = tracing_subscriber::registry().with(filter);
        // A logger that is there already, in a test, does as well.
        let _ = match config.timestamps {
            true => registry.with(lines).try_init(),
            false => registry.with(lines.without_time()).try_init(),
        };
        Self { filter: handle }
    }

    /// Logs as this configuration says; whether lines begin with the time stays as it was.
    pub(crate) fn change(&self, config: LogConfig) {
        let _ = self.filter.reload(filter(config));
    }
}

fn filter(config: LogConfig) -> EnvFilter {
    EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| {
        let LogConfig { level, tor_level, .. } = config;
        EnvFilter::new(format!("{tor_level},undertone={level},undertone_cli={level}"))
    })
}
