//! What the stories are told with: file servers under load, and sums over what was stored.

pub(crate) mod mixed;
pub(crate) mod parcels;

use std::{
    collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Command, time::Duration,
};

use anyhow::{Context, Result};
use undertone_tests::{
    file_server::FileServer, folder::Folder, influxdb1::Influxd1, influxdb2::Influxd,
    process::Process, programs, proxy::Proxy, tor_network::TorNetwork, wait,
};

/// How long a number may take from a program to a database, on a machine that compiles beside it:
/// bootstrap, descriptor, circuits, a slot, a commit. A push that meets a circuit which has just died
/// with its proxy may hang for a minute, and so may the next.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(300);
/// How long a program may take to end in order.
pub(crate) const ENDING: Duration = Duration::from_secs(30);

/// Between two reports of a file server, on average, in seconds.
pub(crate) const RHYTHM: f64 = 0.5;

/// So many file servers that report to this proxy.
pub(crate) fn file_servers(
    number: usize,
    tor: &TorNetwork,
    proxy: &Proxy,
) -> Result<Vec<FileServer>> {
    let tor = tor.arti_toml()?;
    (0..number).map(|_| FileServer::start(&tor, proxy.ingest(), RHYTHM)).collect()
}

/// The test program that measures exactly what it is told to.
pub(crate) struct Reporter {
    pub(crate) process: Process,
    pub(crate) session: String,
    _folder: Folder,
}

impl Reporter {
    pub(crate) fn start(tor: &TorNetwork, ingest: &str, arguments: &[String]) -> Result<Self> {
        let folder = Folder::new("reporter")?;
        let data = folder.join("data");
        Self::in_folder(folder, &data, tor, ingest, arguments)
    }

    /// With the client keys in this folder, or without any.
    pub(crate) fn keyed(
        tor: &TorNetwork,
        ingest: &str,
        keys: Option<&Path>,
        arguments: &[String],
    ) -> Result<Self> {
        let keys = keys.map(|folder| format!("--client-keys={}", folder.display()));
        Self::start(tor, ingest, &arguments.iter().cloned().chain(keys).collect::<Vec<_>>())
    }

    /// With this data folder, which others may use at the same time.
    pub(crate) fn sharing(
        data: &Path,
        tor: &TorNetwork,
        ingest: &str,
        arguments: &[String],
    ) -> Result<Self> {
        Self::in_folder(Folder::new("reporter")?, data, tor, ingest, arguments)
    }

    /// Through a tor that runs already.
    pub(crate) fn by_socks(port: u16, ingest: &str, arguments: &[String]) -> Result<Self> {
        let mut command = programs::binary("reporter")?;
        let socks = SocketAddr::from(([127, 0, 0, 1], port));
        let folder = Folder::new("reporter")?;
        command.arg("--socks").arg(socks.to_string()).arg("--data-dir").arg(folder.join("data"));
        Self::spawn(folder, command, ingest, arguments)
    }

    fn in_folder(
        folder: Folder,
        data: &Path,
        tor: &TorNetwork,
        ingest: &str,
        arguments: &[String],
    ) -> Result<Self> {
        let configuration = folder.join("tor.toml");
        fs::write(&configuration, tor.arti_toml()?)?;
        let mut command = programs::binary("reporter")?;
        command.arg("--data-dir").arg(data).arg("--tor-config").arg(configuration);
        Self::spawn(folder, command, ingest, arguments)
    }

    fn spawn(
        folder: Folder,
        mut command: Command,
        ingest: &str,
        arguments: &[String],
    ) -> Result<Self> {
        command.args(["--ingest", ingest]).args(arguments);
        let mut process = Process::spawn("reporter", folder.path(), command)?;
        let session = process.wait_for("the reporter", ENDING, |log| {
            log.lines()
                .find_map(|line| Some(line.strip_prefix("reporting as session ")?.to_owned()))
        })?;
        Ok(Self { process, session, _folder: folder })
    }

    /// Its schema, printed by itself.
    pub(crate) fn schema() -> Result<String> {
        let output = programs::binary("reporter")?.arg("--schema").output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Stops it in order; returns what it wrote.
    pub(crate) fn stop(mut self) -> Result<String> {
        let status = self.process.terminate(ENDING)?;
        anyhow::ensure!(status.success(), "{status}\n{}", self.process.log());
        Ok(self.process.log())
    }
}

/// What file servers were asked for, hence what databases must say in the end.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) connections: Sums,
    pub(crate) bytes: Sums,
    requests: usize,
}

impl Load {
    /// Asks each server once, for a file of a size that differs from time to time.
    pub(crate) fn once(&mut self, servers: &[FileServer]) -> Result<()> {
        for server in servers {
            self.requests += 1;
            let received = server.fetch(self.requests * 37 % 5_000)?;
            *self.connections.entry(server.session.clone()).or_default() += 1;
            *self.bytes.entry(server.session.clone()).or_default() += received as i64;
        }
        Ok(())
    }

    /// Asks each server so many times.
    pub(crate) fn times(&mut self, times: usize, servers: &[FileServer]) -> Result<()> {
        (0..times).try_for_each(|_| self.once(servers))
    }

    /// Asks all servers again and again until there is an answer.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        servers: &[FileServer],
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        wait::until(what, ARRIVAL, || {
            self.once(servers)?;
            ask()
        })
    }

    /// Asks on until what each server had counted by now has arrived.
    pub(crate) fn until_arrived(
        &mut self,
        what: &str,
        servers: &[FileServer],
        mut ask: impl FnMut() -> Result<Sums>,
    ) -> Result<()> {
        let now = self.connections.clone();
        self.until(what, servers, || {
            let sums = ask()?;
            let all = now.iter().all(|(session, sum)| sums.get(session).is_some_and(|s| s >= sum));
            Ok(all.then_some(()))
        })
    }

    /// Waits until these sums, and nothing else, are there; `ask` is given measurement and field.
    pub(crate) fn is_all_there(
        &self,
        place: &str,
        ask: impl Fn(&str, &str) -> Result<Sums>,
    ) -> Result<()> {
        for (measurement, field, expected) in [
            ("fileserver.connections.count", "delta", &self.connections),
            ("fileserver.egress.meter", "delta", &self.bytes),
            ("fileserver.size.histogram", "delta", &self.connections),
            ("fileserver.size.histogram", "sum", &self.bytes),
            ("fileserver.latency.timer", "delta", &self.connections),
        ] {
            arrives(&format!("{measurement} {field} in {place}"), expected, || {
                ask(measurement, field)
            })?;
        }
        Ok(())
    }
}

/// Sums by session.
pub(crate) type Sums = BTreeMap<String, i64>;

/// The sum of a field over everything that the embedded store has, by session, as `sqlite3` sees it.
pub(crate) fn in_store(proxy: &Proxy, measurement: &str, field: &str) -> Result<Sums> {
    let rows = proxy.sqlite3(&format!(
        "SELECT session, sum(value) FROM point WHERE measurement = '{measurement}' AND field = '{field}' \
         GROUP BY session"
    ))?;
    rows.iter().map(|row| Ok((row[0].clone(), row[1].parse()?))).collect()
}

/// The same as InfluxDB's own Flux engine sees it.
pub(crate) fn in_influxdb(database: &Influxd, measurement: &str, field: &str) -> Result<Sums> {
    let rows = database.query_flux(&format!(
        "from(bucket: \"{}\") |> range(start: -1d, stop: 1d) \
         |> filter(fn: (r) => r._measurement == \"{measurement}\" and r._field == \"{field}\") \
         |> group(columns: [\"session\"]) |> sum()",
        database.bucket
    ))?;
    rows.iter().map(|row| Ok((row["session"].clone(), row["_value"].parse()?))).collect()
}

/// The same as InfluxDB 1's own InfluxQL engine sees it.
pub(crate) fn in_influxdb1(database: &Influxd1, measurement: &str, field: &str) -> Result<Sums> {
    in_influxdb1_called(&database.database, database, measurement, field)
}

/// The same for another one of the server's databases.
pub(crate) fn in_influxdb1_called(
    name: &str,
    server: &Influxd1,
    measurement: &str,
    field: &str,
) -> Result<Sums> {
    let series = server.query(&format!(
        "SELECT sum(\"{field}\") FROM \"{name}\"..\"{measurement}\" GROUP BY \"session\""
    ))?;
    series
        .iter()
        .map(|series| {
            let sum = series.rows.first().and_then(|row| row.get(1)?.as_i64());
            Ok((series.tags["session"].clone(), sum.context("a whole number")?))
        })
        .collect()
}

/// Waits until a sum is what it must be; says what it was otherwise.
pub(crate) fn arrives(
    what: &str,
    expected: &Sums,
    mut ask: impl FnMut() -> Result<Sums>,
) -> Result<()> {
    let mut last = Sums::new();
    wait::until(what, ARRIVAL, || {
        last = ask()?;
        Ok((last == *expected).then_some(()))
    })
    .with_context(|| format!("{what}: expected {expected:?}, the database has {last:?}"))
}

/// `unshare` with this namespace, as root in it, whoever runs the tests; what runs in it follows.
pub(crate) fn in_namespace(namespace: &str) -> Command {
    let mut command = Command::new("unshare");
    // Root in a container may often make the one, but not the other.
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(namespace);
    command
}

/// Arguments of `env` that give a program another wall clock, this far from the real one; its
/// monotonic clock stays.
pub(crate) fn faketime(offset: &str) -> Result<[String; 3]> {
    Ok([
        preloaded_faketime()?,
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        format!("FAKETIME={offset}"),
    ])
}

/// The same with a clock that can be set: the file holds the distance now.
pub(crate) fn settable_faketime(file: &Path) -> Result<[String; 4]> {
    Ok([
        preloaded_faketime()?,
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "FAKETIME_NO_CACHE=1".to_owned(),
        format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
    ])
}

/// Debian's `libfaketime`, in a folder named after the architecture.
fn preloaded_faketime() -> Result<String> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let library = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let library = library.into_iter().find(|path| path.exists());
    Ok(format!("LD_PRELOAD={}", library.context("libfaketime is not installed")?.display()))
}
