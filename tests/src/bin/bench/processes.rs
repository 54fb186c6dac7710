//! Parts that `undertone-benches` measures, with the servers that it measures against.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    folder::Folder, influxdb2::Influxd, janitor, ports, process::Process, programs,
};

use crate::{Arguments, Comparison, comparisons, say};

/// From a server's start to its first word.
const START: Duration = Duration::from_secs(60);

/// An address of the right form, for a proxy that is reached by its socket alone.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

/// A part without peers that are programs.
pub(crate) fn alone(arguments: &Arguments, part: &str) -> Result<Vec<Comparison>> {
    run(arguments, part, &[])
}

/// A part whose peers are also in Go.
pub(crate) fn with_go(arguments: &Arguments, part: &str) -> Result<Vec<Comparison>> {
    match &arguments.go {
        Some(go) => run(arguments, part, &["--go", path(go)?]),
        None => alone(arguments, part),
    }
}

/// The local listener beside Telegraf's.
pub(crate) fn listener(arguments: &Arguments) -> Result<Vec<Comparison>> {
    let Some(telegraf) = &arguments.telegraf else {
        say("there is no Telegraf to compare with");
        return alone(arguments, "listener");
    };
    let folder = Folder::new("telegraf")?;
    let [version_1, version_2] = [ports::free()?, ports::free()?];
    let configuration = folder.join("telegraf.conf");
    fs::write(
        &configuration,
        format!(
            "[agent]\ninterval = \"1s\"\nflush_interval = \"1s\"\nmetric_batch_size = 5000\n\
             metric_buffer_limit = 10000\nquiet = true\nomit_hostname = true\n\
             [[inputs.influxdb_listener]]\nservice_address = \"127.0.0.1:{version_1}\"\n\
             [[inputs.influxdb_v2_listener]]\nservice_address = \"127.0.0.1:{version_2}\"\n\
             [[outputs.discard]]\n"
        ),
    )?;
    let mut command = Command::new(telegraf);
    command.arg("--config").arg(&configuration).current_dir(folder.path());
    let mut telegraf = Process::spawn("telegraf", folder.path(), command)?;
    let ready = |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    telegraf
        .wait_for("Telegraf", START, |_| (ready(version_1) && ready(version_2)).then_some(()))?;
    let [version_1, version_2] = [version_1, version_2].map(|port| port.to_string());
    let process = telegraf.pid().to_string();
    let peers =
        ["--version-1", &version_1, "--version-2", &version_2, "--process", process.as_str()];
    run(arguments, "listener", &peers)
}

/// Nobody is held back: one client is to bring what thousands would.
pub(crate) const UNLIMITED: &str = "requests_per_circuit_burst = 1000000\n\
    requests_per_session_burst = 1000000\npoints_per_session_per_hour = 1000000000";

/// A proxy's socket beside SQLite and InfluxDB 2.
pub(crate) fn admission(arguments: &Arguments) -> Result<Vec<Comparison>> {
    let influxdb = Influxd::start()?;
    let folder = Folder::new("admission")?;
    let bodies = Folder::new("bodies")?;
    // A database that isn't there: what is measured is the way to the queue, not that out of it.
    let nobody = ports::free()?;
    let configuration = folder.join("proxy.toml");
    fs::write(folder.join("token"), "")?;
    fs::write(
        &configuration,
        format!(
            "data_dir = \"data\"\nhealth = \"off\"\n[front]\ntype = \"unix\"\npath = \"socket\"\n\
             onion = \"{ONION}\"\n[limits]\n{UNLIMITED}\n[[sink]]\nname = \"down\"\ntype = \"influxdb2\"\n\
             url = \"http://127.0.0.1:{nobody}\"\norg = \"o\"\nbucket = \"b\"\ntoken_file = \"token\"\n"
        ),
    )?;
    let proxy = || -> Result<Command> {
        let mut command = programs::binary("undertone-ingest-proxy")?;
        command.arg("--config").arg(&configuration);
        Ok(command)
    };
    let schema = folder.join("schema.toml");
    fs::write(&schema, output(Command::new(&arguments.benches).arg("schema"))?)?;
    output(proxy()?.args(["schema", "add"]).arg(&schema))?;
    let ingest = output(proxy()?.arg("address"))?;
    let mut command = proxy()?;
    command.arg("run");
    let mut process = Process::spawn("proxy", folder.path(), command)?;
    let socket = folder.join("socket");
    process.wait_for("the proxy's socket", START, |_| socket.exists().then_some(()))?;
    let words = format!("{} {} {}", influxdb.org, influxdb.bucket, influxdb.token);
    run(
        arguments,
        "admission",
        &[
            "--socket",
            path(&socket)?,
            "--ingest",
            ingest.trim(),
            "--folder",
            path(bodies.path())?,
            "--influxdb-port",
            &influxdb.port().to_string(),
            "--influxdb",
            &words,
        ],
    )
}

fn run(arguments: &Arguments, part: &str, more: &[&str]) -> Result<Vec<Comparison>> {
    let mut command = Command::new(&arguments.benches);
    comparisons(&output(command.arg(part).args(more))?)
}

/// What a program prints; its errors and its progress are seen as they come.
fn output(command: &mut Command) -> Result<String> {
    let command = janitor::mark(command)?.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("{:?}", command.get_program()))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}
