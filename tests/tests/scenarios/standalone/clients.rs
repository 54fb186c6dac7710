//! Programs that write to InfluxDB write to the standalone agent instead: InfluxDB's own clients for Go and
//! Telegraf, on the unix socket and on loopback, through Tor into both databases.
//!
//! A failure: a value, a type, a time, a tag or a name that differs from what was written; a point that is
//! missing, or is stored or admitted twice; text that travels; the machine's real name; with a tor that runs
//! already, a connection to elsewhere or a file. Not a failure: in which order or in how many parcels they come.

mod told;

use std::{
    fmt::Write,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    influxdb2::Influxd, ports, process::Signal, proxy::Proxy, telegraf, tor_network::TorNetwork,
    wait,
};

use self::told::{Told, Value};
use super::machine::{Machine, schema};
use crate::{
    fixtures::{ARRIVAL, mixed::MixedNetwork},
    go_program,
};

const ALIAS: &str = "attic";
const TOKEN: &str = "0123456789-token-0123456789";
/// Of each of Telegraf's outputs; more than it writes in one request.
const METRICS: i64 = 1_200;

#[test]
fn what_clients_of_influxdb_write_arrives_exactly_once() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.influxdb2(&database)?.start(&[&schema()?])?;
    let mut machine = Machine::new(&arti, proxy.ingest())?;
    let tcp = format!("127.0.0.1:{}", ports::free()?);
    machine.put("listener-token", TOKEN)?;
    machine.configure(&format!(
        "alias = \"{ALIAS}\"\nhost.collect = []\n\
         [[listener]]\ntcp = \"{tcp}\"\ntoken_file = \"listener-token\"\n\
         [[listener]]\nunix = \"group.sock\"\nmode = \"0660\"\n"
    ))?;
    machine.start()?;
    machine.wait_for(&format!("listening on http://{tcp}"))?;

    let of_group = machine.socket().with_file_name("group.sock");
    let mode = of_group.metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o660, "its group may write: {mode:o}");
    let (socket, of_group) = (machine.socket().display().to_string(), of_group.display());
    let url = format!("http://{tcp}");
    let mut written = with_go(&["http://localhost", "unused", &socket])?;
    written.extend(with_go(&[&url, TOKEN])?);
    for (name, output) in [
        ("v1 socket", format!("[[outputs.influxdb]]\nurls = [\"unix://{of_group}\"]")),
        (
            "v1 tcp",
            format!(
                "[[outputs.influxdb]]\nurls = [\"{url}\"]\nusername = \"u\"\npassword = \"{TOKEN}\""
            ),
        ),
        (
            "v2 tcp",
            format!(
                "[[outputs.influxdb_v2]]\nurls = [\"{url}\"]\ntoken = \"{TOKEN}\"\norganization = \"o\"\nbucket = \"b\""
            ),
        ),
    ] {
        written.extend(with_telegraf(name, &output)?);
    }

    arrive(&written, "the store", || told::in_store(&proxy))?;
    arrive(&written, "InfluxDB", || told::in_influxdb(&database))?;
    one_session_and_nothing_twice(&proxy, &written)?;
    machine.stop(Signal::INT)?;
    arrive(&written, "the store at the end", || told::in_store(&proxy))?;
    proxy.stop()
}

#[test]
fn through_a_tor_that_runs_already_what_is_written_arrives_exactly_once() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let client = tor.network.socks_client(&[])?;
    let mut proxy = Proxy::on(&tor.arti_toml)?.start(&[&schema()?])?;
    tor.wait_until_published(proxy.ingest())?;
    let mut machine = Machine::new("", proxy.ingest())?;
    let socks = client.socks_port();
    machine.configure(&format!(
        "alias = \"{ALIAS}\"\nledger = \"memory\"\nhost.collect = []\ntransport = \"socks5://127.0.0.1:{socks}\"\n"
    ))?;
    machine.start()?;
    machine.wait_for("The ingest side takes what is pushed")?;

    let socket = machine.socket().display().to_string();
    let written = with_go(&["http://localhost", "unused", &socket])?;
    arrive(&written, "the store", || told::in_store(&proxy))?;
    one_session_and_nothing_twice(&proxy, &written)?;
    machine.is_alone_on_its_socket()?;
    let connected = machine.connected_to()?;
    ensure!(connected.iter().all(|port| *port == socks), "connected to {connected:?}");
    machine.stop(Signal::INT)?;
    ensure!(
        !machine.has("data"),
        "a tor that runs already, and a ledger in memory, need no folder"
    );
    proxy.stop()
}

/// What InfluxDB's own clients for Go say that they wrote, as it must be told of this machine.
fn with_go(arguments: &[&str]) -> Result<Vec<Told>> {
    let program = go_program::build("write-points", "InfluxDB's own clients");
    // The proxy refuses what is older than two days or ahead of its clock.
    let base = now()? / 1_000_000_000 - 12 * 3_600;
    let output = Command::new(program).arg(format!("-base={base}")).args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "write-points failed: {errors}");
    let text = String::from_utf8(output.stdout)?;
    let points = text.lines().map(|line| told::by_write_points(&serde_json::from_str(line)?));
    let points = points.collect::<Result<Vec<_>>>()?;
    ensure!(points.len() >= 48, "{text}");
    Ok(points.concat().into_iter().map(|told| told.of_host(ALIAS)).collect())
}

/// What Telegraf was given to write. Times have digits that no coarser unit has.
fn with_telegraf(name: &str, output: &str) -> Result<Vec<Told>> {
    let (begin, mut lines, mut written) = (now()?, String::new(), Vec::new());
    for number in 0..METRICS {
        let time = begin - number * 1_000_000_001;
        let (third, so, of) = (number as f64 / 3.0, number % 2 == 0, number % 7);
        writeln!(
            lines,
            "telegraf\\ {},of=no.\\ {of} third={third},number={}i,so={so} {time}",
            name.replace(' ', "\\ "),
            -number,
        )?;
        for (field, value) in [
            ("third", Value::Float(third.to_bits())),
            ("number", Value::Integer(-number)),
            ("so", Value::Boolean(so)),
        ] {
            let tags = [("of".to_owned(), format!("no. {of}"))].into();
            let (measurement, field) = (format!("telegraf {name}"), field.to_owned());
            written.push(Told { measurement, tags, time, field, value }.of_host(ALIAS));
        }
    }
    telegraf::write_once(output, &lines)?;
    Ok(written)
}

/// Waits until exactly this is there; says what is missing or too much otherwise.
fn arrive(written: &[Told], place: &str, ask: impl Fn() -> Result<Vec<Told>>) -> Result<()> {
    let mut written = written.to_vec();
    written.sort();
    let mut found = Vec::new();
    let waited = wait::until(&format!("all that was written in {place}"), ARRIVAL, || {
        found = ask()?;
        found.sort();
        Ok((found == written).then_some(()))
    });
    waited.with_context(|| {
        let missing = written.iter().find(|told| found.binary_search(told).is_err());
        let strange = found.iter().find(|told| written.binary_search(told).is_err());
        let (found, written) = (found.len(), written.len());
        format!("{place} has {found} values of {written}; missing {missing:?}, strange {strange:?}")
    })
}

/// Databases take the same point twice as once: the proxy's count must say that it wasn't.
fn one_session_and_nothing_twice(proxy: &Proxy, written: &[Told]) -> Result<()> {
    let sessions = proxy.sqlite3("SELECT count(DISTINCT session) FROM point")?;
    ensure!(sessions == [["1"]], "{sessions:?}");
    let mut points: Vec<_> = written.iter().map(Told::point).collect();
    points.sort();
    points.dedup();
    let admitted = proxy.metric("undertone_points_admitted_total")?;
    ensure!(admitted == points.len() as u64, "{admitted} admitted, {} written", points.len());
    Ok(())
}

/// The wall clock in nanoseconds.
fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
