//! The command line.

mod client;
mod key;
mod quarantine;
mod store;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;
use undertone_ingest_proxy::{
    Config, OpenProxy, Proxy, Schemas, ask_health,
    front::{FrontKind, Progress},
};

/// How long the end may take: what is queued is written if that is possible, and else kept.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
/// arti's own messages at `info` are many; on a small network `tor_netdir` warns at every circuit.
const LOG_FILTER: &str = "warn,tor_netdir=error,undertone_ingest_proxy=info";

/// Publishes an onion service, admits sealed telemetry and writes it to InfluxDB or an embedded store.
#[derive(Parser)]
#[command(version, after_help = EXAMPLE)]
pub(crate) struct Command {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    action: Action,
}

const EXAMPLE: &str = "\
To begin, with everything in ./undertone-ingest:
  undertone-ingest-proxy schema add app.toml   what agents may report
  undertone-ingest-proxy address               what agents are given
  undertone-ingest-proxy run                   until Ctrl-C";

#[derive(Args)]
struct Place {
    /// Configuration file (TOML); without it, the defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder, instead of the configuration's [default: undertone-ingest]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Run until Ctrl-C or SIGTERM
    Run,
    /// Print what agents are given to report here; makes the identity if there is none
    Address,
    /// The key behind the address: take one over, back it up
    #[command(subcommand)]
    Key(key::KeyAction),
    /// Who may find the onion service, if not everybody may
    #[command(subcommand)]
    Client(client::ClientAction),
    /// Ask the proxy that runs how it is doing; exit code 1 unless all is well
    Health,
    /// Which measurements are admitted
    #[command(subcommand)]
    Schema(SchemaAction),
    /// Lines that sinks refused for good: look at them, put them back, delete them
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Print some of the embedded store
    Query(store::Query),
    /// Print the embedded store as line protocol, or write it to a sink
    Export {
        /// The sink's name in the configuration
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Copy the embedded store to a new file, also while the proxy runs
    Backup {
        /// The file, which must not exist
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum SchemaAction {
    /// Check a schema file and admit what it declares; a proxy that runs follows within seconds
    Add {
        /// The file (TOML)
        file: PathBuf,
    },
    /// Print the measurements that are admitted
    List,
}

impl Place {
    fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::in_folder("undertone-ingest"),
        };
        if let Some(folder) = &self.data_dir {
            config.data_dir.clone_from(folder);
        }
        Ok(config)
    }
}

impl Command {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<()> {
        let filter = EnvFilter::try_from_env("UNDERTONE_LOG");
        tracing_subscriber::fmt()
            .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(LOG_FILTER)))
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
        let config = self.place.config()?;
        match self.action {
            Action::Run => run(config),
            Action::Address => {
                println!("{}", Proxy::identity(&config)?);
                Ok(())
            }
            Action::Key(action) => key::run(&config, action),
            Action::Client(action) => client::run(&config, action),
            Action::Health => health(config),
            Action::Schema(SchemaAction::Add { file }) => {
                let (schema, place) = Schemas::add(&config.data_dir, &file)?;
                let count = schema.measurements().count();
                let (namespace, version) = (schema.namespace(), schema.version());
                println!(
                    "{namespace}: {count} measurements, version {version}, in {}",
                    place.display()
                );
                Ok(())
            }
            Action::Schema(SchemaAction::List) => list(&Schemas::load(&config.data_dir)?),
            Action::Quarantine(action) => quarantine::quarantine(config, action),
            Action::Query(query) => store::query(&config.data_dir, query),
            Action::Export { to: None } => store::print(&config.data_dir),
            Action::Export { to: Some(sink) } => store::export(config, &sink),
            Action::Backup { file } => store::backup(&config.data_dir, &file),
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let proxy = OpenProxy::open(config).await?;
    if let Some(url) = proxy.page_url() {
        eprintln!("Operator page: {url}");
    }
    println!("{}", proxy.ingest());
    let mut proxy = proxy.start();
    let progress = proxy.progress();
    let ended = tokio::select! {
        ended = proxy.ended() => ended.context("the front ended"),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
        () = tell(progress) => Ok(()),
    };
    proxy.shutdown(SHUTDOWN_LIMIT).await;
    ended
}

#[tokio::main(flavor = "current_thread")]
async fn health(config: Config) -> Result<()> {
    let address = config.health.context("`health` is \"off\" in the configuration")?;
    let answer = ask_health(address).await?;
    print!("{}", answer.page);
    ensure!(answer.well, "not all is well");
    Ok(())
}

/// Tells how the front comes up, for ever.
async fn tell(mut progress: watch::Receiver<Progress>) {
    let mut told = String::new();
    while progress.changed().await.is_ok() {
        let now = how_far(*progress.borrow_and_update());
        if told != now {
            tracing::info!("{now}");
            told = now;
        }
    }
    std::future::pending().await
}

fn how_far(progress: Progress) -> String {
    match (progress.kind, progress.published) {
        (FrontKind::Unix, true) => "the tor in front has brought a stream".to_owned(),
        (FrontKind::Unix, false) => "waiting for the tor in front".to_owned(),
        (_, published) => {
            let published = if published { "; onion service published" } else { "" };
            format!("Tor bootstrapped {} %{published}", progress.bootstrap_percent)
        }
    }
}

fn list(schemas: &Schemas) -> Result<()> {
    let mut out = io::stdout().lock();
    for schema in schemas.iter() {
        if schema.is_open() {
            writeln!(
                out,
                "*\tEverything else, by namespace {}, which is open.",
                schema.namespace()
            )?;
        }
        for (name, measurement) in schema.measurements() {
            let mark = if measurement.linkable { " (linkable)" } else { "" };
            writeln!(out, "{name}\t{}{mark}", measurement.description)?;
        }
    }
    Ok(())
}
