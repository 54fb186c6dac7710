//! A real InfluxDB 2, set up and empty, on a free port and in a folder that goes with it.
//!
//! What is asked of it here goes by a client of its own (`http`), so that a mistake in the code that
//! is tested can't hide itself.

mod csv;
mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use csv::rows as rows_of_csv;
pub use program::find as find_program;

use crate::folder::Folder;
use crate::http::{self, Response};
use crate::process::Process;
use crate::{ports, wait};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// A row of a query: column to value, all as text; what is null is empty.
pub type Row = BTreeMap<String, String>;

/// A running (or stopped) database.
#[derive(Debug)]
pub struct Influxd {
    /// The organisation that owns the bucket.
    pub org: String,
    /// The bucket, which keeps its data forever.
    pub bucket: String,
    /// A token that may do everything.
    pub token: String,
    port: u16,
    process: Option<Process>,
    folder: Folder,
}

impl Influxd {
    /// Finds influxd (or builds it, which takes minutes, see [`find_program`]), starts it and sets it
    /// up.
    pub fn start() -> Result<Self> {
        let mut database = Self {
            org: "undertone".to_owned(),
            bucket: "telemetry".to_owned(),
            token: "token-of-the-tests".to_owned(),
            port: ports::free()?,
            process: None,
            folder: Folder::new("influxd")?,
        };
        database.start_again()?;
        let setup = json!({
            "username": "operator", "password": "password-of-the-tests",
            "org": database.org, "bucket": database.bucket, "token": database.token,
        });
        let answer = database.post("/api/v2/setup", "application/json", &setup.to_string())?;
        ensure!(answer.status == 201, "setting up InfluxDB: {answer:?}");
        Ok(database)
    }

    /// Without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1, the same for its whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process, unless it is stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Stops it in good order; port and data stay.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.terminate(STOP).map(drop)
    }

    /// Kills it in the middle of things; port and data stay.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on its port and data, and waits until it is healthy. Nothing if it runs.
    pub fn start_again(&mut self) -> Result<()> {
        if self.process.as_mut().is_some_and(Process::is_running) {
            return Ok(());
        }
        let mut command = Command::new(find_program()?);
        command.args(["run", "--reporting-disabled", "--http-bind-address"]);
        command.arg(format!("127.0.0.1:{}", self.port));
        for (option, name) in
            [("bolt-path", "bolt"), ("sqlite-path", "sqlite"), ("engine-path", "engine")]
        {
            command.arg(format!("--{option}")).arg(self.folder.join(name));
        }
        // Neither settings of the user nor those that the environment may hold.
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        let mut process = Process::spawn("influxd", self.folder.path(), command)?;
        let healthy = wait::until("InfluxDB to be healthy", START, || {
            ensure!(process.is_running(), "it ended");
            let health = http::request(self.port, "GET", "/health", &[], &[]);
            Ok(health.ok().filter(|answer| answer.status == 200).map(drop))
        });
        healthy.map_err(|error| process.explain(error))?;
        self.process = Some(process);
        Ok(())
    }

    /// Writes line protocol with times in nanoseconds.
    pub fn write(&self, lines: &str) -> Result<()> {
        let path = format!("/api/v2/write?org={}&bucket={}", self.org, self.bucket);
        let answer = self.post(&path, "text/plain; charset=utf-8", lines)?;
        ensure!(answer.status == 204, "writing to InfluxDB: {answer:?}");
        Ok(())
    }

    /// The rows of all tables that a Flux script yields, in their order.
    pub fn query_flux(&self, flux: &str) -> Result<Vec<Row>> {
        let path = format!("/api/v2/query?org={}", self.org);
        let answer = self.post(&path, "application/vnd.flux", flux)?;
        ensure!(answer.status == 200, "querying InfluxDB: {}", answer.body);
        csv::rows(&answer.body)
    }

    /// All points of a measurement since the epoch, one row a point: fields and tags are columns.
    pub fn points(&self, measurement: &str) -> Result<Vec<Row>> {
        let (bucket, measurement) = (Value::from(&*self.bucket), Value::from(measurement));
        self.query_flux(&format!(
            r#"from(bucket: {bucket}) |> range(start: 0) |> filter(fn: (r) => r._measurement == {measurement})
               |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")"#
        ))
    }

    /// Applies a template (dashboards, checks, tasks) given as JSON or YAML text.
    pub fn apply_template(&self, template: &str) -> Result<Value> {
        let organisations: Value = serde_json::from_str(
            &self.request("GET", "/api/v2/orgs", "application/json", "")?.body,
        )?;
        let of_name = |org: &&Value| org["name"] == *self.org;
        let org = organisations["orgs"].as_array().into_iter().flatten().find(of_name);
        let id = &org.context("the organisation is not there")?["id"];
        let body = match serde_json::from_str::<Value>(template) {
            Ok(contents) => json!({ "orgID": id, "template": { "contents": contents } }),
            Err(_) => {
                json!({ "orgID": id, "template": { "contentType": "yaml", "contents": template } })
            }
        };
        let path = "/api/v2/templates/apply";
        let answer = self.post(path, "application/json", &body.to_string())?;
        ensure!([200, 201].contains(&answer.status), "applying a template: {}", answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Any request, with the token.
    pub fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<Response> {
        let token = format!("Token {}", self.token);
        let headers = [("Authorization", &*token), ("Content-Type", kind)];
        http::request(self.port, method, path, &headers, body.as_bytes())
    }

    /// Where its data and log are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn post(&self, path: &str, kind: &str, body: &str) -> Result<Response> {
        self.request("POST", path, kind, body)
    }
}

fn is_setting(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("INFLUX")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Failures: a database that isn't healthy, loses what was written, or moves to another port.
    #[test]
    fn writes_queries_and_comes_back() {
        find_program().unwrap();
        let start = Instant::now();
        let mut database = Influxd::start().unwrap();
        eprintln!("influxd: started and set up in {:?}", start.elapsed());

        database.write("net.bytes,session=a\\ b count=3i,delta=1i 1700000000000000000").unwrap();
        database.write("net.bytes,session=c count=4i 1700000001000000000").unwrap();
        assert!(database.write("no line protocol").is_err());
        let check = |database: &Influxd| {
            let rows = database.points("net.bytes").unwrap();
            assert_eq!(rows.len(), 2, "{rows:?}");
            let row = rows.iter().find(|row| row["session"] == "a b").unwrap();
            assert_eq!((&*row["count"], &*row["delta"]), ("3", "1"));
            assert_eq!(row["_time"], "2023-11-14T22:13:20Z");
        };
        check(&database);
        let error = database.query_flux("from(bucket: 3)").unwrap_err().to_string();
        assert!(error.contains("bucket"), "{error}");

        let url = database.url();
        database.stop().unwrap();
        assert!(database.query_flux("buckets()").is_err());
        database.start_again().unwrap();
        assert_eq!(database.url(), url);
        check(&database);
        database.kill();
        database.start_again().unwrap();
        check(&database);
    }

    #[test]
    fn templates() {
        let database = Influxd::start().unwrap();
        let label = r#"[{"apiVersion":"influxdata.com/v2alpha1","kind":"Label",
                         "metadata":{"name":"some-label"},"spec":{}}]"#;
        database.apply_template(label).unwrap();
        let labels = database.request("GET", "/api/v2/labels", "application/json", "").unwrap();
        assert!(labels.body.contains("some-label"), "{labels:?}");
    }
}
