//! `make demo`: the main job, on one machine.
//!
//! A Tor network of its own, an ingest proxy with the embedded store, three file servers under load.
//! A table shows what stands in the store beside what the load generator saw; with `DEMO_SECONDS` the
//! demo ends by itself, successfully only if both are equal. `TOR=public` takes the real network.

use std::{
    collections::BTreeMap,
    env,
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use undertone::Schema;
use undertone_tests::{
    file_server::FileServer,
    folder::Folder,
    janitor,
    process::Process,
    programs,
    proxy::Proxy,
    tor_network::{Options, TorNetwork},
    trial::Trial,
    wait,
};

/// Ctrl-C came.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

const SERVERS: usize = 3;
/// Between two reports of each, on average, in seconds.
const RHYTHM: f64 = 1.0;
/// A process and its first lines.
const STARTING: Duration = Duration::from_secs(30);
/// Onion service, descriptor, circuits. On the public network this may take minutes.
const FIRST_ARRIVAL: Duration = Duration::from_secs(300);
/// From the load's end to the last number.
const LAST_ARRIVAL: Duration = Duration::from_secs(60);
/// How much earlier than the demo the load ends, so that the last numbers can arrive in time.
const LOAD_ENDS_BEFORE: Duration = Duration::from_secs(12);
/// The load runs at least so long, however short the demo was to be.
const SHORTEST_LOAD: Duration = Duration::from_secs(10);

const REDRAWN_EVERY: Duration = Duration::from_secs(1);
/// Where the table can't be drawn over itself.
const PRINTED_EVERY: Duration = Duration::from_secs(10);

/// Answers, answers "not found", bytes.
type Counts = [u64; 3];
/// Session, what is stored of it, what the load saw of it.
type Rows<'a> = [(&'a str, Counts, Counts)];

fn main() -> ExitCode {
    let interrupted = ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        println!("\nending …");
        // What was started and written goes with this process in any case; this says so if not.
        let code = match janitor::dismiss() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error:#}");
                1
            }
        };
        std::process::exit(code);
    });
    let result = interrupted.context("listen for Ctrl-C").and_then(|()| demo());
    while INTERRUPTED.load(Ordering::SeqCst) {
        // What failed here failed since it was ended; the one who ends it exits.
        thread::park();
    }
    let cleaned = janitor::dismiss();
    match result.and(cleaned) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let began = Instant::now();
    let seconds = match env::var("DEMO_SECONDS") {
        Ok(text) => {
            Some(text.parse().with_context(|| format!("DEMO_SECONDS={text} is no number"))?)
        }
        Err(_) => None,
    };
    let ends = seconds.map(|seconds| began + Duration::from_secs(seconds));
    let public = match env::var("TOR").as_deref() {
        Ok("public") => true,
        Ok("private") | Err(_) => false,
        Ok(other) => bail!("TOR={other}: there are `public` and `private`"),
    };
    let say = |text: &str| println!("{:>4} s  {text}", began.elapsed().as_secs());

    println!("Profile `fleet` with a rhythm of about a second, so that there is something to see.");
    println!("The default, `anonymous`, sends every three minutes or so. Ctrl-C ends.\n");
    let network = if public {
        say("using the public Tor network");
        None
    } else {
        say("starting a private Tor network of 10 nodes on this machine …");
        Some(TorNetwork::start_with(Options::default(), |progress| say(progress))?)
    };
    let tor = network.as_ref().map(TorNetwork::arti_toml).transpose()?.unwrap_or_default();

    // Open as well to what a standalone agent of this machine measures.
    let open = Schema::open("fleet")?.to_toml();
    let proxy = Proxy::on(&tor)?.start(&[&FileServer::schema()?, &open])?;
    say(&format!("the ingest proxy publishes {}", proxy.ingest()));
    say(&format!("what arrives is charted at {}", proxy.page_url()?));
    let servers = (0..SERVERS).map(|_| FileServer::start(&tor, proxy.ingest(), RHYTHM));
    let servers: Vec<FileServer> = servers.collect::<Result<_>>()?;
    for server in &servers {
        say(&format!("a file server on {} reports as session {}", server.address, server.session));
    }
    let mut load = Load::start(&servers)?;
    say("load is on; waiting for the first numbers to come through Tor …");
    wait::until("numbers of all three sessions in the store", FIRST_ARRIVAL, || {
        Ok((stored(&proxy)?.len() == SERVERS).then_some(()))
    })?;
    say("numbers of all three sessions are in the store\n");
    let trial = Trial::of(&proxy, &tor)?;
    println!("To report from here as well, in another terminal, while this runs:\n{trial}\n");

    let mut table = Table::default();
    let rows = |seen: &[Counts]| -> Result<Vec<(&str, Counts, Counts)>> {
        let stored = stored(&proxy)?;
        let rows = servers.iter().zip(seen).map(|(server, seen)| {
            let stored = stored.get(&server.session).copied().unwrap_or_default();
            (server.session.as_str(), stored, *seen)
        });
        Ok(rows.collect())
    };
    let load_ends = ends.map(|ends| (ends - LOAD_ENDS_BEFORE).max(Instant::now() + SHORTEST_LOAD));
    while load_ends.is_none_or(|end| Instant::now() < end) {
        table.update(&rows(&load.seen()?)?)?;
        thread::sleep(REDRAWN_EVERY);
    }
    let seen = load.end()?;
    let equal = wait::until("the store to equal what the load saw", LAST_ARRIVAL, || {
        let rows = rows(&seen)?;
        table.update(&rows)?;
        Ok(rows.iter().all(|(_, stored, seen)| stored == seen).then_some(()))
    });
    table.show(&rows(&seen)?)?;
    equal?;
    println!(
        "\nEqual: every answer and every byte that the load generator saw stands in the store."
    );
    Ok(())
}

/// What stands in the embedded store, by session, as the `sqlite3` program sees it.
fn stored(proxy: &Proxy) -> Result<BTreeMap<String, Counts>> {
    let rows = proxy.sqlite3(
        "SELECT session, \
         sum(value) FILTER (WHERE measurement = 'fileserver.connections.count'), \
         total(value) FILTER (WHERE measurement = 'fileserver.latency.timer' \
                              AND tags ->> 'outcome' = 'not_found'), \
         sum(value) FILTER (WHERE measurement = 'fileserver.egress.meter') \
         FROM point WHERE field = 'delta' GROUP BY session",
    )?;
    let number = |text: &str| text.parse::<f64>().unwrap_or(0.0) as u64;
    Ok(rows
        .into_iter()
        .map(|row| (row[0].clone(), [number(&row[1]), number(&row[2]), number(&row[3])]))
        .collect())
}

/// The load generator, a process that counts for itself.
struct Load {
    process: Process,
    _folder: Folder,
}

impl Load {
    fn start(servers: &[FileServer]) -> Result<Self> {
        let folder = Folder::new("load")?;
        let mut command = programs::binary("undertone-load")?;
        command.args(servers.iter().map(|server| server.address.to_string()));
        let process = Process::spawn("load", folder.path(), command)?;
        Ok(Self { process, _folder: folder })
    }

    /// What it has seen, by server, in its last line.
    fn seen(&mut self) -> Result<Vec<Counts>> {
        if !self.process.is_running() {
            bail!("the load generator ended: {}", self.process.log());
        }
        self.last_line_after(": ")
    }

    fn end(&mut self) -> Result<Vec<Counts>> {
        let status = self.process.terminate(STARTING)?;
        if !status.success() {
            bail!("the load generator ended with {status}: {}", self.process.log());
        }
        self.last_line_after("total: ")
    }

    fn last_line_after(&self, start: &str) -> Result<Vec<Counts>> {
        let log = self.process.stdout();
        let Some((_, counts)) = log.lines().rev().find_map(|line| line.split_once(start)) else {
            return Ok(vec![[0; 3]; SERVERS]);
        };
        counts
            .split(' ')
            .map(|counts| {
                let numbers: Vec<u64> =
                    counts.split(',').map(str::parse).collect::<Result<_, _>>()?;
                numbers
                    .try_into()
                    .map_err(|_| anyhow::anyhow!("the load generator wrote {counts:?}"))
            })
            .collect()
    }
}

/// The live table: drawn over itself on a terminal, else printed now and then.
#[derive(Default)]
struct Table {
    shown: Option<Instant>,
}

impl Table {
    /// Shows the table if it is time to.
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        let pause = if std::io::stdout().is_terminal() { REDRAWN_EVERY } else { PRINTED_EVERY };
        if self.shown.is_none_or(|shown| shown.elapsed() >= pause) {
            self.show(rows)?;
        }
        Ok(())
    }

    fn show(&mut self, rows: &Rows<'_>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let clear = if out.is_terminal() { "\x1b[K" } else { "" };
        if out.is_terminal() && self.shown.is_some() {
            // Up over the former table; each line erases what is left of the one below it.
            write!(out, "\x1b[{}A", SERVERS + 2)?;
        }
        self.shown = Some(Instant::now());
        writeln!(out, "{:38}{:^23}{:^23}{:^23}{clear}", "", "connections", "not found", "bytes")?;
        let head = format!("{:>11}{:>11} ", "stored", "load saw");
        writeln!(out, "{:38}{head}{head}{head}{clear}", "session")?;
        for (session, stored, seen) in rows {
            write!(out, "{session:38}")?;
            for (stored, seen) in stored.iter().zip(seen) {
                write!(out, "{stored:>11}{seen:>11} ")?;
            }
            writeln!(out, "{clear}")?;
        }
        out.flush()?;
        Ok(())
    }
}
