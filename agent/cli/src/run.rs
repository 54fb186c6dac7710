//! Reports until a signal: agent and inputs are started, changed by SIGHUP, and ended in order.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::time::{MissedTickBehavior, interval};
use undertone::{Agent, Ingest, Statistics, delete_data, delete_waiting};

use crate::{
    command::Exit,
    config::{Config, Transport},
    inputs::{Inputs, Outlet},
    logging::Logging,
    permission::{Silence, permitted, revoked},
    progress::Progress,
    reload, reporter,
    signals::{Asked, Signals},
};

/// What an agent gets to send what waits. With what inputs take to end, it stays below 10 s.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);
/// How long the deletion of what an agent kept waits for its end, where that was told to end before.
const DELETION_LIMIT: Duration = Duration::from_secs(2);
/// How often the agent is asked what it is doing.
const LOOK: Duration = Duration::from_millis(250);
/// How often the answer's file is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// Runs until it is told to end.
pub(crate) fn run(path: &Path) -> Result<Exit> {
    let config = Config::load(path)?;
    let ingest = match permitted(&config) {
        Ok(ingest) => ingest.clone(),
        Err(silence) => {
            if silence.is_denial() {
                // What a denial left, because an agent ran or since something went wrong.
                delete_data(&config.agent.data_dir, Duration::ZERO);
            }
            return Err(silence.into());
        }
    };
    // Nothing before this line has made a thread, a file or a socket.
    let logging = Logging::start(config.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::new().context("listen for signals")?;
        let running = Running::start(config, &ingest)?;
        running.until_told(path, &logging, &mut signals).await
    });
    // Whatever blocks there is left behind.
    runtime.shutdown_background();
    exit
}

/// An agent and what feeds it.
struct Running {
    config: Config,
    agent: Agent,
    inputs: Inputs,
    progress: Progress,
    since: Instant,
}

impl Running {
    fn start(config: Config, ingest: &Ingest) -> Result<Self> {
        let agent = reporter::start(&config.agent, ingest)?;
        let outlet = Outlet::new(agent.points(), config.alias.clone());
        let inputs = Inputs::start(&config, &outlet)?;
        if let Some(session) = agent.session() {
            tracing::info!("reporting as session {session}");
        }
        for listener in &config.listeners {
            tracing::info!("listening on {listener}");
        }
        let progress = Progress::new(matches!(config.agent.transport, Transport::Socks(_)));
        Ok(Self { config, agent, inputs, progress, since: Instant::now() })
    }

    async fn until_told(
        mut self,
        path: &Path,
        logging: &Logging,
        signals: &mut Signals,
    ) -> Result<Exit> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                asked = signals.next() => match asked {
                    Asked::End => return Ok(self.end(signals).await),
                    Asked::Reload => match self.reload(path, logging, signals).await? {
                        Reloaded::On(running) => self = *running,
                        Reloaded::Ended(exit) => return Ok(exit),
                    },
                },
                _ = look.tick() => self.tell(),
                _ = watch.tick() => if let Some(silence) = revoked(&self.config) {
                    return Ok(self.silence(silence));
                },
            }
        }
    }

    fn tell(&mut self) {
        let state = self.agent.state();
        if let Some(sentence) = self.progress.tell(state, self.agent.tor(), self.since.elapsed()) {
            match sentence.wrong {
                true => tracing::warn!("{}", sentence.text),
                false => tracing::info!("{}", sentence.text),
            }
        }
    }

    /// Ends inputs, then sends what waits; at once if it is told so again.
    async fn end(self, signals: &mut Signals) -> Exit {
        tracing::info!("ending: sending what waits, for at most 10 s; Ctrl-C again ends at once");
        stop(self.agent, self.inputs, self.config.agent.spool.bytes > 0, signals).await
    }

    /// Does what the configuration says now, as far as that differs.
    async fn reload(
        self,
        path: &Path,
        logging: &Logging,
        signals: &mut Signals,
    ) -> Result<Reloaded> {
        let on = |running| Ok(Reloaded::On(Box::new(running)));
        let config = match Config::load(path) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("not reloaded, everything stays as it was: {error}");
                return on(self);
            }
        };
        let ingest = match permitted(&config) {
            Ok(ingest) => ingest.clone(),
            Err(silence) => return Ok(Reloaded::Ended(self.silence(silence))),
        };
        logging.change(config.log);
        let changes = reload::changes(&self.config, &config);
        if changes.new_agent.is_empty() {
            return on(self.with_inputs(config, changes.inputs).await?);
        }
        let changed = changes.new_agent.join(", ");
        tracing::info!(
            "{changed} changed: this needs a new agent; the old one sends what waits first"
        );
        let Self { agent, inputs, config: old, .. } = self;
        let on_disk = old.agent.spool.bytes > 0;
        let Exit::Done = stop(agent, inputs, on_disk, signals).await else {
            return Ok(Reloaded::Ended(Exit::AtOnce));
        };
        // What waited took its time.
        if let Some(silence) = revoked(&config) {
            tracing::warn!("{silence}");
            for agent in [&old.agent, &config.agent] {
                match silence.is_denial() {
                    true => drop(delete_data(&agent.data_dir, DELETION_LIMIT)),
                    false => drop(delete_waiting(&agent.data_dir, DELETION_LIMIT)),
                }
            }
            return Ok(Reloaded::Ended(Exit::Silent));
        }
        match (Self::start(config, &ingest), old.agent.ingest.clone()) {
            (Ok(running), _) => {
                tracing::info!("reloaded: a new session has begun");
                on(running)
            }
            (Err(error), Some(ingest)) => {
                tracing::error!("the new agent can't be started, one like the old is: {error:#}");
                on(Self::start(old, &ingest)?)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The same agent with other inputs; with the old ones if the new can't be started.
    async fn with_inputs(self, config: Config, changed: bool) -> Result<Self> {
        let Self { agent, inputs, progress, since, config: old } = self;
        if !changed {
            tracing::info!("reloaded: the session goes on");
            return Ok(Self { config, agent, inputs, progress, since });
        }
        inputs.stop().await;
        let start = |config: &Config| {
            Inputs::start(config, &Outlet::new(agent.points(), config.alias.clone()))
        };
        let (config, inputs) = match start(&config) {
            Ok(inputs) => {
                tracing::info!("reloaded: the session goes on");
                (config, inputs)
            }
            Err(error) => {
                tracing::error!("the new inputs can't be started, the old ones go on: {error:#}");
                let inputs = start(&old).context("start the old inputs again")?;
                (old, inputs)
            }
        };
        Ok(Self { config, agent, inputs, progress, since })
    }

    /// Consent is gone: what waits is dropped, and nothing more is sent.
    fn silence(self, silence: Silence) -> Exit {
        tracing::warn!("{silence}; what waited is dropped");
        let Self { agent, inputs, config, .. } = self;
        drop(inputs);
        if !silence.is_denial() {
            drop(agent);
            for left in delete_waiting(&config.agent.data_dir, DELETION_LIMIT) {
                tracing::error!("what waits in {} could not be deleted", left.display());
            }
        } else {
            // The answer is written already: this ends Tor, then deletes what it has kept.
            match agent.consent().deny() {
                Ok(end) => end.wait(),
                Err(error) => tracing::error!("{error}"),
            }
        }
        Exit::Silent
    }
}

/// What a reload left.
enum Reloaded {
    On(Box<Running>),
    Ended(Exit),
}

/// Ends inputs, then sends what waits; at once if it is told to end meanwhile.
async fn stop(agent: Agent, inputs: Inputs, on_disk: bool, signals: &mut Signals) -> Exit {
    let ended = async {
        inputs.stop().await;
        drain(agent, on_disk).await;
    };
    tokio::select! {
        biased;
        () = ended => Exit::Done,
        () = signals.end() => {
            tracing::warn!(match on_disk {
                true => "ended at once; the next start sends what waited",
                false => "ended at once; what waited is lost",
            });
            Exit::AtOnce
        }
    }
}

/// Sends what waits, as far as the time allows.
async fn drain(agent: Agent, on_disk: bool) {
    let begun = Instant::now();
    let mut shutdown = agent.shutdown(DRAIN_LIMIT);
    (&mut shutdown).await;
    let Some(Statistics {
        parcels_sent,
        parcels_refused,
        parcels_waiting,
        drops,
        disk_refuses,
        ..
    }) = shutdown.statistics()
    else {
        return;
    };
    tracing::info!(
        "parcels: {parcels_sent} sent, {parcels_refused} refused, {parcels_waiting} wait; given up: {} since too many \
         waited, {} too old, {} that nobody could read",
        drops.too_many,
        drops.too_old,
        drops.unreadable
    );
    let late = begun.elapsed() >= DRAIN_LIMIT;
    match (parcels_waiting, on_disk && !disk_refuses) {
        (0, _) if !late => {}
        (_, true) => tracing::warn!(
            "not all of what waited could be sent in time; the next start sends the rest"
        ),
        (_, false) => {
            tracing::warn!("not all of what waited could be sent in time; the rest is lost");
        }
    }
}
