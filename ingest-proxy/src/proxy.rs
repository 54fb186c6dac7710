//! The whole proxy: opened, which migrates and checks and publishes nothing, then started.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};
use undertone_wire::endpoint::{DEFAULT_PORT, DeploymentId, Endpoint, Ingest, OnionAddress};

use crate::{
    admission::Admission,
    compatibility::Compatibility,
    config::{Config, Limits, SinkConfig, Target},
    error::{Error, ErrorKind},
    front::{self, Front, Progress},
    health::{Health, Report},
    http::Http,
    lock::FolderLock,
    page::Page,
    queue::Queue,
    route::Route,
    schemas::{CurrentSchemas, Schemas},
    sink::{
        Sink, SinkError, embedded::Embedded, influxdb1::InfluxDb1, influxdb2::InfluxDb2,
        influxdb3::InfluxDb3,
    },
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
    data_dir: PathBuf,
    schemas: CurrentSchemas,
    queue: Queue,
    admission: Arc<Admission>,
    limits: Arc<Limits>,
    compatibility: Option<Arc<Compatibility>>,
    writers: Vec<Writer>,
    health: Option<Health>,
    page: Option<Page>,
    lock: FolderLock,
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
    _lock: FolderLock,
}

impl OpenProxy {
    /// Opens queue, sinks, schemas and the front: the onion service's identity, or the socket. Touches
    /// no network.
    ///
    /// # Errors
    /// With the kind of what can't be opened.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let folder = &config.data_dir;
        let lock = FolderLock::take(folder)?;
        let schemas = CurrentSchemas::from(Schemas::load(folder)?);
        let now = schemas.now();
        let queue_limit_bytes = config.queue.bytes;
        let store_limit_bytes = config.sinks.iter().find_map(|sink| match &sink.target {
            Target::Embedded(limits) => Some(limits.bytes),
            _ => None,
        });
        let queue = Queue::open(folder, config.queue.clone())
            .map_err(|error| Error::new(ErrorKind::Storage, "open the queue").because(error))?;
        let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        queue
            .register_sinks(&names)
            .await
            .map_err(|error| Error::new(ErrorKind::Storage, "register sinks").because(error))?;
        // After the queue, which no two proxies have open.
        let front = Front::open(&config).await?;
        let (mut writers, mut homeless) = (Vec::new(), now.iter().collect::<Vec<_>>());
        for sink in config.sinks {
            let opened = open_sink(folder, &sink)?;
            let route = Route::new(sink.namespaces, schemas.clone());
            for namespace in route.unknown() {
                tracing::warn!(sink = sink.name, namespace, "a sink's namespace has no schema");
            }
            homeless.retain(|schema| !route.takes_namespace(schema.namespace()));
            let writer = Writer::new(sink.name, opened, queue.clone(), WriterLimits::default());
            writers.push(writer.with_route(route));
        }
        for schema in homeless {
            let namespace = schema.namespace();
            tracing::warn!(
                namespace,
                "no sink is given this namespace: its points will be dropped"
            );
        }
        let ingest = ingest(front.address().clone(), config.deployment);
        let limits = Arc::new(config.limits);
        let (deployment, limiting) = (ingest.deployment, Arc::clone(&limits));
        let admission = Admission::open(deployment, schemas.clone(), queue.clone(), limiting);
        let admission = admission
            .await
            .map_err(|error| Error::new(ErrorKind::Storage, "read the sessions").because(error))?;
        let admission = Arc::new(admission);
        let open = |config| {
            let (admission, limits) = (Arc::clone(&admission), Arc::clone(&limits));
            Compatibility::open(config, folder, admission, schemas.clone(), limits).map(Arc::new)
        };
        let compatibility = config.compatibility.map(open).transpose()?;
        let health = match config.health {
            Some(address) => Some(Health::bind(address).await?),
            None => None,
        };
        let page = match &health {
            Some(health) if config.page => Some(Page::new(
                health.address(),
                ingest.to_string(),
                folder.clone(),
                store_limit_bytes,
                queue_limit_bytes,
            )?),
            _ => None,
        };
        let data_dir = folder.clone();
        Ok(Self {
            front,
            ingest,
            data_dir,
            schemas,
            queue,
            admission,
            limits,
            compatibility,
            writers,
            health,
            page,
            lock,
        })
    }

    /// Where the operator page will be, with the token that lets its reader in; none if it is off.
    pub fn page_url(&self) -> Option<String> {
        self.page.as_ref().map(Page::url)
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
            writers.spawn(health.serve(report, self.page, writers_stopped.clone()));
        }
        writers.spawn(self.schemas.follow(self.data_dir, writers_stopped.clone()));
        for writer in self.writers {
            writers.spawn(writer.run(writers_stopped.clone()));
        }
        let front = tokio::spawn(self.front.serve(
            Http::new(self.admission, self.limits, self.compatibility),
            progress,
            stopped,
        ));
        Proxy {
            ingest: self.ingest,
            queue: self.queue,
            progress: seen,
            stop,
            stop_writers,
            front,
            writers,
            _lock: self.lock,
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

/// What is written to. Connects to nothing yet.
pub(crate) fn open_sink(
    folder: &std::path::Path,
    sink: &SinkConfig,
) -> Result<Arc<dyn Sink>, Error> {
    let failed = |kind| Error::new(kind, format!("open sink {:?}", sink.name));
    let wrong = |error: SinkError| failed(ErrorKind::Configuration).because(error);
    Ok(match sink.target.clone() {
        Target::Embedded(limits) => Arc::new(
            Embedded::open(folder, limits)
                .map_err(|error| failed(ErrorKind::Storage).because(error))?,
        ),
        Target::InfluxDb1(config) => Arc::new(InfluxDb1::new(config).map_err(wrong)?),
        Target::InfluxDb2(config) => Arc::new(InfluxDb2::new(config).map_err(wrong)?),
        Target::InfluxDb3(config) => Arc::new(InfluxDb3::new(config).map_err(wrong)?),
    })
}
