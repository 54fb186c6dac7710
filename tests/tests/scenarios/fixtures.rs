//! What the stories are told with: file servers under load, and sums over what was stored.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use undertone_tests::{
    folder::Folder, influxdb2::Influxd, process::Process, programs, proxy::Proxy,
    tor_network::TorNetwork, wait,
};

/// How long a number may take from a program to a database, on a machine that compiles beside it:
/// bootstrap, descriptor, circuits, a slot, a commit.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(180);
/// How long a program may take to end in order.
pub(crate) const ENDING: Duration = Duration::from_secs(30);

/// The article's file server, reporting to a proxy.
pub(crate) struct FileServer {
    pub(crate) process: Process,
    pub(crate) session: String,
    address: SocketAddr,
    _folder: Folder,
}

impl FileServer {
    pub(crate) fn start(tor: &TorNetwork, ingest: &str) -> Result<Self> {
        let folder = Folder::new("file-server")?;
        fs::write(folder.join("consent"), "granted")?;
        fs::write(folder.join("tor.toml"), tor.arti_toml()?)?;
        let mut command = programs::example("file_server")?;
        command
            .args(["--listen", "127.0.0.1:0", "--ingest", ingest, "--rhythm", "0.5"])
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--consent")
            .arg(folder.join("consent"))
            .arg("--tor-config")
            .arg(folder.join("tor.toml"));
        let mut process = Process::spawn("file-server", folder.path(), command)?;
        let (address, session) = process.wait_for("the file server", ENDING, |log| {
            let word =
                |start| Some(log.lines().find_map(|line| line.strip_prefix(start))?.to_owned());
            Some((word("listening on ")?.parse().ok()?, word("reporting as session ")?))
        })?;
        Ok(Self { process, session, address, _folder: folder })
    }

    /// Fetches a file of this size; returns how many bytes came.
    pub(crate) fn fetch(&self, size: usize) -> Result<usize> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET /{size} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n").context("no head")?;
        Ok(answer.len() - head - 4)
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(ENDING)?;
        anyhow::ensure!(status.success(), "{status}\n{}", self.process.log());
        Ok(())
    }
}

/// The schema of the file server, printed by itself.
pub(crate) fn file_server_schema() -> Result<String> {
    let output = programs::example("file_server")?.arg("--schema").output()?;
    Ok(String::from_utf8(output.stdout)?)
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
