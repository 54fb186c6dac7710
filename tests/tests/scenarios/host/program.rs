//! The host program, and what must be true of each of its runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{folder::Folder, process::Process, programs};

/// How long a run may go on for what it waits for, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(240);
/// How much more memory a program may hold at its end than when it first was steady.
const GROWTH_LIMIT: u64 = 8 << 20;
/// Beyond the shutdown's limit: what a loaded machine takes to run a thread.
const SHUTDOWN_SLACK: f64 = 1.0;
/// How long the shutdown of a program may take whose numbers go nowhere.
pub(super) const SHORT_SHUTDOWN: f64 = 1.5;

/// A host program that runs, with a folder of its own.
pub(super) struct Host {
    pub(super) process: Process,
    shutdown_limit: f64,
    _folder: Folder,
}

/// How a program is to be started.
pub(super) struct Start {
    folder: Folder,
    arguments: Vec<String>,
    shutdown_limit: f64,
    data_dir: Option<PathBuf>,
}

/// What a program said of itself until its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) session: String,
    pub(super) state: String,
    pub(super) counted: i64,
    log: String,
}

impl Start {
    /// With Tor in the program, on the network of this arti configuration.
    pub(super) fn with_tor(name: &str, configuration: &str, ingest: &str) -> Result<Self> {
        let folder = Folder::new(name)?;
        let file = folder.join("tor.toml");
        fs::write(&file, configuration)?;
        let transport = ["--tor-config".to_owned(), file.display().to_string()];
        Ok(Self::new(folder, transport, ingest))
    }

    /// Through a SOCKS server.
    pub(super) fn with_socks(name: &str, address: &str, ingest: &str) -> Result<Self> {
        let transport = ["--socks".to_owned(), address.to_owned()];
        Ok(Self::new(Folder::new(name)?, transport, ingest))
    }

    fn new(folder: Folder, transport: [String; 2], ingest: &str) -> Self {
        let ingest = ["--ingest".to_owned(), ingest.to_owned()];
        let arguments = transport.into_iter().chain(ingest).collect();
        Self { folder, arguments, shutdown_limit: SHORT_SHUTDOWN, data_dir: None }
    }

    pub(super) fn arguments(mut self, more: &[&str]) -> Self {
        self.arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(super) fn shutdown_limit(mut self, seconds: f64) -> Self {
        self.shutdown_limit = seconds;
        self
    }

    pub(super) fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Where Tor's state is to be.
    pub(super) fn place(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| self.folder.join("data"))
    }

    /// Something beside it.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn go(self) -> Result<Host> {
        self.inside(Command::new("env"))
    }

    /// Started by another program that becomes the one that its last arguments name.
    pub(super) fn inside(self, mut command: Command) -> Result<Host> {
        command
            .arg(programs::binary("host")?.get_program())
            .args(&self.arguments)
            .arg("--data-dir")
            .arg(self.place())
            .args(["--shutdown-limit", &self.shutdown_limit.to_string()]);
        let process = Process::spawn("host", self.folder.path(), command)?;
        Ok(Host { process, shutdown_limit: self.shutdown_limit, _folder: self.folder })
    }
}

impl Host {
    /// Waits for its end, which must leave the program as it would be without telemetry.
    pub(super) fn end(mut self) -> Result<Ended> {
        let status = self.process.wait(PATIENCE)?;
        let ended = Ended::read(self.process.log());
        let what = || format!("{}\n{}", self.process.explain(anyhow::anyhow!("ended")), status);
        let ended = ended.with_context(what)?;
        ensure!(status.code() == Some(0), what());
        ensure!(!ended.log.contains("panicked"), what());
        let growth = ended.number("memory end ")? - ended.number("memory steady ")?;
        ensure!(growth < GROWTH_LIMIT as f64, "grew by {growth} bytes\n{}", what());
        let shutdown = ended.number("shutdown ")?;
        let limit = self.shutdown_limit + SHUTDOWN_SLACK;
        ensure!(shutdown < limit, "the shutdown took {shutdown} s\n{}", what());
        eprintln!(
            "{}: grew by {:.1} MiB, shut down in {shutdown:.2} of {} s",
            ended.state,
            growth / f64::from(1 << 20),
            self.shutdown_limit
        );
        Ok(ended)
    }
}

impl Ended {
    fn read(log: String) -> Result<Self> {
        let word = |start: &str| -> Result<String> {
            let line = log.lines().rev().find_map(|line| line.strip_prefix(start));
            Ok(line.with_context(|| format!("no line {start:?}"))?.to_owned())
        };
        let (session, state) = (word("session ").unwrap_or_default(), word("state ")?);
        let counted = word("counted ")?.parse()?;
        Ok(Self { session, state, counted, log })
    }

    /// The last line that begins so.
    pub(super) fn number(&self, start: &str) -> Result<f64> {
        let line = self.log.lines().rev().find_map(|line| line.strip_prefix(start));
        line.and_then(|rest| rest.parse().ok()).with_context(|| format!("no number in {start:?}"))
    }

    /// What the wall clock showed at each change, in seconds.
    pub(super) fn wall_clock(&self) -> Vec<i64> {
        let lines = self.log.lines().filter(|line| line.starts_with("pushes "));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
    }
}

/// How many parcels a log says were sent.
pub(super) fn sent(log: &str) -> u64 {
    let counts = log.rsplit("pushes sent ").next();
    counts.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The schema of the host program, printed by itself.
pub(super) fn schema() -> Result<String> {
    let output = programs::binary("host")?.arg("--schema").output()?;
    Ok(String::from_utf8(output.stdout)?)
}
