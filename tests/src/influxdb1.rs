//! A real InfluxDB 1, as Debian packages it, on a free port and in a folder that goes with it; it asks
//! for a user. The system's own service, if there is one, is left alone.
//!
//! What is asked of it here goes by a client of its own (`http`), so that a mistake in the code that
//! is tested can't hide itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use serde_json::Value;

use crate::certificates::Authority;
use crate::folder::Folder;
use crate::http::{self, Response};
use crate::process::Process;
use crate::{ports, wait};

const START: Duration = Duration::from_secs(60);
const VARIABLE: &str = "UNDERTONE_INFLUXD1";
/// Where Debian puts it. An `influxd` of version 2 may come before it on PATH.
const DEBIANS: &str = "/usr/bin/influxd";

/// A running database.
#[derive(Debug)]
pub struct Influxd1 {
    /// The database that points are written to.
    pub database: String,
    /// Who may write to it and read from it.
    pub username: String,
    /// The user's password.
    pub password: String,
    port: u16,
    /// Whose certificate it shows, if it speaks HTTPS.
    ca: Option<PathBuf>,
    process: Process,
    folder: Folder,
}

impl Influxd1 {
    /// Starts it and makes a database and a user.
    pub fn start() -> Result<Self> {
        Self::launch(None)
    }

    /// The same over HTTPS alone, with the certificate of this authority.
    pub fn start_https(authority: &Authority) -> Result<Self> {
        Self::launch(Some(authority))
    }

    fn launch(authority: Option<&Authority>) -> Result<Self> {
        let folder = Folder::new("influxd1")?;
        let (port, rpc) = (ports::free()?, ports::free()?);
        let configuration = configuration(&folder, port, rpc, authority);
        fs::write(folder.join("influxdb.conf"), configuration)?;
        let mut command = Command::new(program()?);
        command.args(["run", "-config"]).arg(folder.join("influxdb.conf"));
        // Neither settings of the user nor those that the environment may hold.
        command.env("HOME", folder.path()).current_dir(folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("INFLUX") {
                command.env_remove(name);
            }
        }
        let mut process = Process::spawn("influxd1", folder.path(), command)?;
        let answering = wait::until("InfluxDB 1 to answer", START, || {
            ensure!(process.is_running(), "it ended");
            // Over HTTPS, too, it answers to HTTP, though only with a refusal.
            let ping = http::request(port, "GET", "/ping", &[], &[]);
            Ok(ping.ok().filter(|answer| [204, 400].contains(&answer.status)).map(drop))
        });
        answering.map_err(|error| process.explain(error))?;
        let text = str::to_owned;
        // The first user may be made by anybody, and must be an administrator.
        let mut database = Self {
            database: text("telemetry"),
            username: text("admin"),
            password: text("password-of-the-tests"),
            port,
            ca: authority.map(Authority::ca),
            process,
            folder,
        };
        let password = database.password.clone();
        database
            .query(&format!("CREATE USER admin WITH PASSWORD '{password}' WITH ALL PRIVILEGES"))?;
        database.query(&format!("CREATE USER writer WITH PASSWORD '{password}'"))?;
        database.username = text("writer");
        database.create("telemetry")?;
        Ok(database)
    }

    /// Makes another database, which the user may write to.
    pub fn create(&self, name: &str) -> Result<()> {
        self.ask("admin", &format!("CREATE DATABASE {name}"))?;
        self.ask("admin", &format!("GRANT ALL ON {name} TO {}", self.username)).map(drop)
    }

    /// Without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The series that an InfluxQL query yields: each with its tags and its rows, all as JSON.
    pub fn query(&self, influxql: &str) -> Result<Vec<Series>> {
        self.ask(&self.username, influxql)
    }

    fn ask(&self, username: &str, influxql: &str) -> Result<Vec<Series>> {
        let encoded: String = influxql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/query?db={}&q={encoded}", self.database);
        let answer = self.post(username, &path, "")?;
        ensure!(answer.status == 200, "querying InfluxDB 1: {}", answer.body);
        let body: Value = serde_json::from_str(&answer.body)?;
        let result = &body["results"][0];
        if let Some(error) = result.get("error") {
            bail!("{influxql}: {error}");
        }
        let series = result["series"].as_array().into_iter().flatten();
        series.map(Series::read).collect()
    }

    /// Writes line protocol with times in nanoseconds; returns the answer, whatever it is.
    pub fn write(&self, lines: &str) -> Result<Response> {
        let path = format!("/write?db={}&precision=ns", self.database);
        self.post(&self.username, &path, lines)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its data and log are.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn post(&self, username: &str, path: &str, body: &str) -> Result<Response> {
        let credentials = format!("{username}:{}", self.password);
        let Some(ca) = &self.ca else {
            let authorization = format!("Basic {}", BASE64.encode(credentials.as_bytes()));
            let headers = [("Authorization", &*authorization)];
            return http::request(self.port, "POST", path, &headers, body.as_bytes());
        };
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "30", "--include", "--http1.1"]);
        command.arg("--cacert").arg(ca).args(["--user", &credentials, "--data-binary", body]);
        let output = command.arg(format!("{}{path}", self.url())).output().context("run curl")?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        Response::parse(&output.stdout)
    }
}

/// Rows that share their tags.
#[derive(Debug)]
pub struct Series {
    /// The tags that the query groups by.
    pub tags: BTreeMap<String, String>,
    /// A value for each column, the time first.
    pub rows: Vec<Vec<Value>>,
}

impl Series {
    fn read(series: &Value) -> Result<Self> {
        let tags = series["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned()));
        let rows = series["values"].as_array().context("a series has values")?;
        let rows = rows.iter().filter_map(Value::as_array).cloned().collect();
        Ok(Self { tags: tags.collect(), rows })
    }
}

/// An influxd of version 1: the one that is named, or on PATH, or Debian's.
fn program() -> Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).unwrap_or_else(|| "influxd".into());
    for candidate in [PathBuf::from(named), PathBuf::from(DEBIANS)] {
        let output = Command::new(&candidate).arg("version").stdin(Stdio::null()).output();
        let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        if version.is_ok_and(|version| version.starts_with("InfluxDB v1.")) {
            return Ok(candidate);
        }
    }
    bail!(
        "these tests need an InfluxDB 1: install Debian's influxdb (tests/tools/install.sh test), or \
         set {VARIABLE} to the path of its influxd"
    )
}

fn configuration(folder: &Folder, port: u16, rpc: u16, authority: Option<&Authority>) -> String {
    let place = |name: &str| folder.join(name).display().to_string();
    let https = authority.map_or_else(String::new, |authority| {
        format!(
            "https-enabled = true\nhttps-certificate = {:?}\nhttps-private-key = {:?}",
            authority.certificate(),
            authority.key()
        )
    });
    format!(
        r#"reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{meta}"
[data]
dir = "{data}"
wal-dir = "{wal}"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
log-enabled = false
{https}
[monitor]
store-enabled = false
"#,
        meta = place("meta"),
        data = place("data"),
        wal = place("wal"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures: a database that takes what has no user, or loses what was written.
    #[test]
    fn writes_queries_and_asks_who_it_is() {
        let mut database = Influxd1::start().unwrap();
        let lines = "m,session=a\\ b delta=3i 1700000000000000000\nm,session=c delta=4i 1";
        assert_eq!(database.write(lines).unwrap().status, 204);
        let series = database.query("SELECT sum(delta) FROM m GROUP BY session").unwrap();
        let sums: Vec<_> = series
            .iter()
            .map(|series| (series.tags["session"].as_str(), series.rows[0][1].as_i64()))
            .collect();
        assert_eq!(sums, [("a b", Some(3)), ("c", Some(4))]);
        assert!(database.query("SELECT nonsense").is_err());
        database.password = "another".to_owned();
        assert_eq!(database.write(lines).unwrap().status, 401);
    }
}
