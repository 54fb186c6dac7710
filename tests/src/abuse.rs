//! Attacks on an ingest proxy that runs as its users run it, with honest sessions beside each.
//!
//! The proxy is the real program behind a unix socket, where each stream names its circuit: any number of
//! circuits, at the speed of the machine. What was answered is compared byte for byte, what was admitted is read
//! out of the store by another program. [`THRESHOLDS`] says when a row is a failure.

mod answers;
mod attackers;
mod database;
mod heads;
mod honest;
mod meter;
mod parcels;
mod slow;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{runtime::Runtime, sync::watch, task::JoinSet};
use undertone_wire::endpoint::Ingest;

use self::{
    answers::Answers,
    attackers::Attackers,
    honest::Honest,
    meter::{Meter, disk_bytes},
    parcels::Case,
    slow::Pace,
};
use crate::{folder::Folder, proxy::Proxy, wait};

/// The address that nobody asks for.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// What the proxy admits.
const SCHEMA: &str = "namespace = \"app\"\ninterval_seconds = 10\n[[measurement]]\nname = \"hits\"\n\
                      kind = \"counter\"\ndescription = \"Hits.\"\n";
/// Attackers who say one thing after another, at once.
const ATTACKERS: usize = 32;
/// What was admitted is in the store after this, on a machine that compiles beside it.
const WRITTEN: Duration = Duration::from_secs(120);

/// When a row is a failure.
#[derive(Debug)]
pub struct Thresholds {
    /// Of the parcels of known honest sessions, the part that is in the store. What isn't, is for a
    /// push that was cut to make room; agents bring it again in a later slot.
    pub honest_acceptance: f64,
    /// How much more memory than before the first attack the proxy may have. A server of 512 MB has room for it
    /// beside everything else.
    pub memory_bytes: u64,
    /// How much the data folder may grow by one attack: what was admitted, and counts.
    pub disk_bytes: u64,
}

/// They hold on two cores.
pub const THRESHOLDS: Thresholds =
    Thresholds { honest_acceptance: 0.99, memory_bytes: 64 << 20, disk_bytes: 64 << 20 };

/// Attacks that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Nobody attacks: what the other rows are compared with.
    Nobody,
    /// Every method on every path with odd fields.
    Routes,
    /// Two readers of HTTP would end them at different places.
    Smuggling,
    /// Heads and bodies that are too long.
    Lengths,
    /// Little that becomes much.
    Bombs,
    /// Replayed, truncated, altered, for others, by others.
    Forgeries,
    /// Names that try to get past the schema.
    Evasions,
    /// This many silent streams.
    Idle(u32),
    /// This many streams that say a byte of a head now and then.
    SlowHeads(u32),
    /// The same with bodies.
    SlowBodies(u32),
}

impl Attack {
    fn name(self) -> String {
        match self {
            Self::Nobody => "none".to_owned(),
            Self::Routes => "routes, methods, fields".to_owned(),
            Self::Smuggling => "smuggling, other protocols".to_owned(),
            Self::Lengths => "oversized and chunked".to_owned(),
            Self::Bombs => "bombs".to_owned(),
            Self::Forgeries => "forged, replayed, altered".to_owned(),
            Self::Evasions => "evasion of the schema".to_owned(),
            Self::Idle(streams) => format!("{streams} silent streams"),
            Self::SlowHeads(streams) => format!("{streams} slow heads"),
            Self::SlowBodies(streams) => format!("{streams} slow bodies"),
        }
    }

    fn pace(self) -> Option<(u32, Pace)> {
        match self {
            Self::Idle(streams) => Some((streams, Pace::Idle)),
            Self::SlowHeads(streams) => Some((streams, Pace::Head)),
            Self::SlowBodies(streams) => Some((streams, Pace::Body)),
            _ => None,
        }
    }
}

/// What became of an attack.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which it was.
    pub attack: String,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Streams that were answered or cut.
    pub offered: u64,
    /// Points of hostile sessions that are in the store by it.
    pub admitted: u64,
    /// How they were answered.
    pub answers: Answers,
    /// Processor time of the proxy.
    pub cpu_seconds: f64,
    /// The most memory that it had, less what it had before the first attack.
    pub grown_bytes: u64,
    /// How much its data folder grew.
    pub disk_bytes: u64,
    /// Parcels that honest sessions sealed meanwhile, and what of them is in the store.
    pub honest: (u64, u64),
    /// What is past a threshold, or wrong.
    pub failures: Vec<String>,
}

impl Row {
    /// The table's head.
    pub const HEAD: &'static str = "| Attack | s | offered | a second | admitted | answers | CPU s | memory over idle, MiB | disk, MiB | honest parcels stored |\n\
         |---|---|---|---|---|---|---|---|---|---|";

    /// The row as Markdown.
    pub fn markdown(&self) -> String {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (sealed, stored) = self.honest;
        format!(
            "| {} | {:.0} | {} | {:.0} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} % of {sealed} |",
            self.attack,
            self.seconds,
            self.offered,
            self.offered as f64 / self.seconds,
            self.admitted,
            self.answers.words(),
            self.cpu_seconds,
            mebibytes(self.grown_bytes),
            mebibytes(self.disk_bytes),
            100.0 * stored as f64 / sealed.max(1) as f64,
        )
    }
}

/// A proxy under attack, and the honest sessions that it knows.
pub struct Arena {
    proxy: Proxy,
    attackers: Arc<Attackers>,
    honest: Arc<Honest>,
    secrets: Arc<Vec<String>>,
    ingest: Ingest,
    meter: Meter,
    idle_bytes: u64,
    runtime: Runtime,
    _folder: Folder,
}

impl Arena {
    /// Starts a proxy with these keys in `[limits]`, and makes sessions known to it.
    pub fn start(limits: &str) -> Result<Self> {
        let folder = Folder::new("abuse")?;
        let (socket, hostname) = (folder.join("ingest.sock"), folder.join("hostname"));
        fs::write(&hostname, ONION)?;
        let port = database::start()?;
        let sink = format!(
            "\n[[sink]]\nname = \"database-of-abuse\"\ntype = \"influxdb2\"\nurl = \"http://127.0.0.1:{port}\"\n\
             org = \"organisation-of-abuse\"\nbucket = \"telemetry-of-abuse\"\ntoken_file = \"token\"\n"
        );
        let mut proxy = Proxy::on("")?
            .behind(&socket, &hostname)?
            .file("token", database::TOKEN)?
            .keys(&format!("{sink}\n[limits]\n{limits}\n"))
            .start(&[SCHEMA])?;
        let ingest: Ingest = proxy.ingest().parse().context("what the proxy printed")?;
        let secrets = [
            database::TOKEN,
            database::TEXT,
            database::VERSION,
            "influx",
            "sqlite",
            "telemetry-of-abuse",
            "organisation-of-abuse",
            "database-of-abuse",
            env!("CARGO_PKG_VERSION"),
            "undertone",
            "127.0.0.1",
            &port.to_string(),
            &proxy.folder().path().display().to_string(),
            &ONION[..ONION.len() - 6],
        ];
        let secrets = Arc::new(secrets.map(str::to_owned).to_vec());
        let meter = Meter { pid: proxy.process().context("the proxy runs")?.pid() };
        let attackers = Arc::new(Attackers::new(&socket));
        let runtime = Runtime::new()?;
        let honest = runtime.block_on(Honest::begin(8, &attackers, ingest.deployment))?;
        let idle_bytes = meter.resident_bytes()?;
        let honest = Arc::new(honest);
        Ok(Self {
            proxy,
            attackers,
            honest,
            secrets,
            ingest,
            meter,
            idle_bytes,
            runtime,
            _folder: folder,
        })
    }

    /// Attacks for this long, or once through all cases where that takes longer.
    pub fn suffer(&mut self, attack: Attack, time: Duration) -> Result<Row> {
        self.meter.forget_peak()?;
        let (sealed, stored) = (self.honest.sealed(), self.settled()?);
        let (hostile, cpu) = (self.hostile_points()?, self.meter.cpu_seconds()?);
        let disk = disk_bytes(&self.proxy.folder().join("data"))?;
        let began = Instant::now();
        let answers = self.runtime.block_on(self.attack(attack, time))?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu_seconds = self.meter.cpu_seconds()? - cpu;
        let grown_bytes = self.meter.peak_bytes()?.saturating_sub(self.idle_bytes);
        let stored = self.settled()? - stored;
        let grown_disk = disk_bytes(&self.proxy.folder().join("data"))?.saturating_sub(disk);
        let mut row = Row {
            attack: attack.name(),
            seconds,
            offered: answers.total(),
            admitted: self.hostile_points()? - hostile,
            answers,
            cpu_seconds,
            grown_bytes,
            disk_bytes: grown_disk,
            honest: (self.honest.sealed() - sealed, stored),
            failures: Vec::new(),
        };
        row.failures = failures(&row);
        Ok(row)
    }

    async fn attack(&self, attack: Attack, time: Duration) -> Result<Answers> {
        let (stop, stopped) = watch::channel(false);
        let (honest, attackers) = (Arc::clone(&self.honest), Arc::clone(&self.attackers));
        let beside = stopped.clone();
        let honest = tokio::spawn(async move { honest.report(&attackers, beside).await });
        let answers = match attack.pace() {
            Some((streams, pace)) => {
                let hold = slow::hold(streams, pace, &self.attackers, &self.secrets, &stopped);
                let end = async {
                    tokio::time::sleep(time).await;
                    let _ = stop.send(true);
                };
                tokio::join!(hold, end).0
            }
            None if attack == Attack::Nobody => {
                tokio::time::sleep(time).await;
                Answers::default()
            }
            None => self.say(self.cases(attack), time).await,
        };
        let _ = stop.send(true);
        honest.await??;
        Ok(answers)
    }

    fn cases(&self, attack: Attack) -> Vec<Case> {
        let deployment = &self.ingest.deployment;
        match attack {
            Attack::Routes => heads::routes(),
            Attack::Lengths => heads::lengths(),
            Attack::Bombs => parcels::bombs(deployment),
            Attack::Forgeries => parcels::forgeries(deployment),
            Attack::Evasions => parcels::evasions(deployment),
            Attack::Smuggling => {
                let push = |number| {
                    let chaff = parcels::sealed(number, deployment, &parcels::compressed(b""));
                    parcels::request(&chaff)
                };
                heads::smuggling(&push(30_000), &push(30_001))
            }
            _ => Vec::new(),
        }
    }

    /// Says all of it, again and again until the time is over; each on a circuit of its own.
    async fn say(&self, cases: Vec<Case>, time: Duration) -> Answers {
        let (cases, next) = (Arc::new(cases), Arc::new(AtomicUsize::new(0)));
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for _ in 0..ATTACKERS {
            let (cases, next) = (Arc::clone(&cases), Arc::clone(&next));
            let (attackers, secrets) = (Arc::clone(&self.attackers), Arc::clone(&self.secrets));
            tasks.spawn(async move {
                let mut answers = Answers::default();
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= cases.len() && Instant::now() >= end {
                        return answers;
                    }
                    let (what, bytes, expected) = &cases[number % cases.len()];
                    match attackers.say(attackers.circuit(), bytes).await {
                        Some(answer) => answers.count(what, &answer, *expected, &secrets),
                        None => answers.count(what, b"", *expected, &secrets),
                    }
                }
            });
        }
        let mut all = Answers::default();
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(answers) => all.add(answers),
                Err(error) => all.wrong(format!("an attacker failed: {error}")),
            }
        }
        all
    }

    /// What is stored of honest sessions once nothing waits for the store.
    fn settled(&self) -> Result<u64> {
        let mut before = 0;
        wait::until("the store to have all that was taken", WRITTEN, || {
            let now = self.honest.stored(&self.proxy)?;
            let behind = self.proxy.metric("undertone_sink_lag_parcels{sink=\"store\"}")?;
            let settled = behind == 0 && now == before && now > 0;
            before = now;
            if !settled {
                std::thread::sleep(Duration::from_millis(300));
            }
            Ok(settled.then_some(now))
        })
    }

    fn hostile_points(&self) -> Result<u64> {
        let rows = self.proxy.sqlite3("SELECT count(*) FROM point WHERE field = 'delta'")?;
        let all: u64 =
            rows.first().and_then(|row| row.first()).map_or(Ok(0), |text| text.parse())?;
        Ok(all - self.honest.stored(&self.proxy)?)
    }

    /// Ends the proxy in order.
    pub fn stop(mut self) -> Result<()> {
        self.proxy.stop()
    }
}

fn failures(row: &Row) -> Vec<String> {
    let mut failures = row.answers.wrong.clone();
    let Thresholds { honest_acceptance, memory_bytes, disk_bytes } = THRESHOLDS;
    let (sealed, stored) = row.honest;
    let acceptance = stored as f64 / sealed.max(1) as f64;
    if sealed == 0 || acceptance < honest_acceptance {
        failures.push(format!("{stored} of {sealed} honest parcels are stored"));
    }
    if stored > sealed {
        failures.push(format!("{stored} honest parcels are stored, and {sealed} were sealed"));
    }
    if row.grown_bytes > memory_bytes {
        failures.push(format!("{} bytes more memory than idle", row.grown_bytes));
    }
    if row.disk_bytes > disk_bytes {
        failures.push(format!("{} bytes more disk", row.disk_bytes));
    }
    failures
}
