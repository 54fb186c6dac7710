//! The whole proxy: opened, which migrates and checks and publishes nothing, then started.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};
use undertone_wire::endpoint::{DEFAULT_PORT, DeploymentId, Endpoint, Ingest, OnionAddress};

use crate::{
    admission::Admission,
    config::{Config, Target},
    error::{Error, ErrorKind},
    front::{self, Front, Progress},
    health::{Health, Report},
    http::Http,
    queue::Queue,
    schemas::Schemas,
    sink::{Sink, embedded::Embedded, influxdb2::InfluxDb2},
    writer::{SinkState, Writer, WriterLimits},
};

/// As good as no limit.
const LONGEST_SHUTDOWN: Duration = Duration::from_secs(3_600);
/// The queue's last commit, after everything else.
const CLOSING: Duration = Duration::from_secs(2);

/// A proxy whose files are open; nothing is published yet.
pub struct OpenProxy {
    front: Front,
    ingest: Ingest,
    queue: Queue,
    admission: Arc<Admission>,
    writers: Vec<Writer>,
    health: Option<Health>,
}

/// A proxy that runs.
pub struct Proxy {
    ingest: Ingest,
    queue: Queue,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    stop_writers: watch::Sender<bool>,
    front: JoinHandle<Result<(), Error>>,
    writers: JoinSet<()>,
}

impl OpenProxy {
    /// Opens queue, sinks, schemas and the front: the onion service's identity, or the socket. Touches
    /// no network.
    ///
    /// # Errors
    /// With the kind of what can't be opened.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let folder = &config.data_dir;
        let schemas = Schemas::load(folder)?;
        let queue = Queue::open(folder, config.queue.clone())
            .map_err(|error| Error::new(ErrorKind::Storage, "open the queue").because(error))?;
        let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        queue
            .register_sinks(&names)
            .await
            .map_err(|error| Error::new(ErrorKind::Storage, "register sinks").because(error))?;
        // After the queue, which no two proxies have open.
        let front = Front::open(&config).await?;
        let mut writers = Vec::new();
        for sink in config.sinks {
            let opened = open_sink(folder, sink.target).map_err(|error| {
                Error::new(error.kind(), format!("open sink {:?}", sink.name)).because(error)
            })?;
            writers.push(Writer::new(sink.name, opened, queue.clone(), WriterLimits::default()));
        }
        let ingest = ingest(front.address().clone(), config.deployment);
        let admission = Arc::new(Admission::new(ingest.deployment, schemas, queue.clone()));
        let health = match config.health {
            Some(address) => Some(Health::bind(address).await?),
            None => None,
        };
        Ok(Self { front, ingest, queue, admission, writers, health })
    }

    /// The onion address that will be published.
    pub fn address(&self) -> &OnionAddress {
        self.front.address()
    }

    /// What agents are given to report here.
    pub fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// Publishes the onion service, or answers the tor in front, and begins to write to the sinks. Returns at once.
    pub fn start(self) -> Proxy {
        let (stop, stopped) = watch::channel(false);
        let (stop_writers, writers_stopped) = watch::channel(false);
        let (progress, seen) = watch::channel(self.front.progress());
        let states: Vec<watch::Receiver<SinkState>> =
            self.writers.iter().map(Writer::state).collect();
        let mut writers = JoinSet::new();
        if let Some(health) = self.health {
            let report = Report {
                progress: seen.clone(),
                admission: Arc::clone(&self.admission),
                queue: self.queue.clone(),
                sinks: states,
            };
            writers.spawn(health.serve(report, writers_stopped.clone()));
        }
        for writer in self.writers {
            writers.spawn(writer.run(writers_stopped.clone()));
        }
        let front = tokio::spawn(self.front.serve(Http::new(self.admission), progress, stopped));
        Proxy {
            ingest: self.ingest,
            queue: self.queue,
            progress: seen,
            stop,
            stop_writers,
            front,
            writers,
        }
    }
}

impl Proxy {
    /// What agents are given to report to the proxy of this configuration, whether it runs or not.
    /// Makes the onion service's identity if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Tor`] if the keystore can't be used.
    pub fn identity(config: &Config) -> Result<Ingest, Error> {
        Ok(ingest(front::address(config)?, config.deployment))
    }

    /// The onion address.
    pub fn address(&self) -> Option<&OnionAddress> {
        self.ingest.endpoints.first().map(|endpoint| &endpoint.onion)
    }

    /// What agents are given to report here.
    pub fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// How far the front is on its way to being reachable; changes as it goes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until the front ends by itself, which it does only when it fails.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.front).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Tor, "serve the front").because(error))
        })
    }

    /// Stops within `limit`: no new parcels, then what is queued is written as far as time allows.
    /// The rest stays queued.
    pub async fn shutdown(mut self, limit: Duration) {
        let end = Instant::now() + limit.min(LONGEST_SHUTDOWN);
        self.stop.send_replace(true);
        if !self.front.is_finished() && timeout_at(end, &mut self.front).await.is_err() {
            self.front.abort();
        }
        // Only now, so that what was admitted last is written, too.
        self.stop_writers.send_replace(true);
        let drained = async { while self.writers.join_next().await.is_some() {} };
        let _ = timeout_at(end, drained).await;
        self.writers.shutdown().await;
        match timeout_at(end + CLOSING, self.queue.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the queue was not closed in order"),
            Err(_) => tracing::warn!("the queue was not closed in time"),
        }
    }
}

/// What agents are given to report to this onion service.
fn ingest(onion: OnionAddress, deployment: Option<DeploymentId>) -> Ingest {
    let deployment = deployment.unwrap_or_else(|| DeploymentId::of(&onion));
    Ingest { deployment, endpoints: vec![Endpoint { onion, port: DEFAULT_PORT }] }
}

fn open_sink(folder: &std::path::Path, target: Target) -> Result<Arc<dyn Sink>, Error> {
    match target {
        Target::Embedded(limits) => match Embedded::open(folder, limits) {
            Ok(sink) => Ok(Arc::new(sink)),
            Err(error) => Err(Error::new(ErrorKind::Storage, "open the store").because(error)),
        },
        Target::InfluxDb2(config) => match InfluxDb2::new(config) {
            Ok(sink) => Ok(Arc::new(sink)),
            Err(error) => {
                Err(Error::new(ErrorKind::Configuration, "configure InfluxDB 2").because(error))
            }
        },
    }
}
