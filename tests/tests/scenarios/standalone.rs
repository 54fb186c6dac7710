//! The standalone agent on a machine: what it reads and what is written to it arrives, and it does what it
//! is told while it runs.
//!
//! A failure: a value, a time or an alias that differs; a point that is lost or doubled; a reload that
//! ends the session without need, or one of an invalid file that changes anything; a port, a connection to
//! elsewhere, a file or a process that isn't its own to have; a doctor that sends something that was measured. Not a
//! failure: how long a point takes, or in how many parcels it comes.

mod answers;
mod bridges;
mod machine;
mod sent;
mod signals;
mod silence;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    influxdb2::Influxd, process::Signal, proxy::Proxy, tor_network::TorNetwork, wait,
};

use crate::fixtures::ARRIVAL;
use machine::{Machine, schema};

/// How often an end may take too long.
const TRIES: usize = 5;

#[test]
fn a_machine_reports_what_it_reads_and_what_is_written_to_it() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.influxdb2(&database)?.start(&[&schema()?])?;
    let mut machine = Machine::new(&arti, proxy.ingest())?;
    machine.configure("alias = \"attic\"")?;
    machine.start()?;

    let mut written = Vec::new();
    let mut write = |machine: &Machine, alias: &'static str| -> Result<()> {
        let story = Story { number: written.len() + 1, time: now()?, alias };
        machine.write(&story.line())?;
        written.push(story);
        arrive(&proxy, &database, &written)
    };
    write(&machine, "attic")?;
    let read = "SELECT count(*) > 0 FROM point WHERE measurement = 'system' AND field = 'load1' \
                AND tags = '{\"host\":\"attic\"}' AND kind = 'f'";
    wait::until("the load of this machine", ARRIVAL, || {
        Ok((proxy.sqlite3(read)? == [["1"]]).then_some(()))
    })?;
    machine.is_alone_on_its_socket()?;

    machine.configure("alias = \"attic\"\n\n[host]\ncollect = [\"memroy\"]")?;
    machine.reload("not reloaded, everything stays as it was")?;
    let line = machine.log();
    let line = line.lines().find(|line| line.contains("not reloaded")).unwrap_or_default();
    ensure!(line.contains("undertone.toml, line 8: `host.collect`"), "{line}");
    ensure!(line.contains("did you mean `memory`?"), "{line}");
    write(&machine, "attic")?;

    machine.configure("alias = \"cellar\"")?;
    machine.reload("reloaded: the session goes on")?;
    write(&machine, "cellar")?;
    machine.is_alone_on_its_socket()?;

    let sessions = proxy.sqlite3("SELECT DISTINCT session FROM point")?;
    ensure!(sessions.len() == 1, "one run is one session: {sessions:?}");
    arrives_at_the_end(&mut machine, &proxy)?;
    let hosts = proxy.sqlite3(
        "SELECT DISTINCT json_extract(tags, '$.host') FROM point WHERE measurement = 'system' ORDER BY 1",
    )?;
    ensure!(hosts.iter().flatten().eq(["attic", "cellar"]), "{hosts:?}");
    proxy.stop()
}

#[test]
fn what_an_agent_is_made_of_needs_a_new_session_and_loses_nothing() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.start(&[&schema()?])?;
    let mut machine = Machine::new(&arti, proxy.ingest())?;
    machine.configure("host.collect = []")?;
    machine.start()?;
    machine.wait_for("The ingest side takes what is pushed")?;
    let count =
        |proxy: &Proxy| proxy.sqlite3("SELECT count(*) FROM point WHERE measurement = 'story'");

    machine.write(&format!("story number=1i {}", now()?))?;
    machine.configure("host.collect = []\npush_every_seconds = 0.25")?;
    machine.reload("reloaded: a new session has begun")?;
    machine.write(&format!("story number=2i {}", now()?))?;
    wait::until("both points", ARRIVAL, || Ok((count(&proxy)? == [["2"]]).then_some(())))?;
    let sessions = proxy.sqlite3("SELECT count(DISTINCT session) FROM point")?;
    ensure!(sessions == [["2"]], "{sessions:?}");

    // Consent that is gone ends everything, at once.
    machine.configure("consent = \"denied\"")?;
    machine.ends_with(Signal::HUP, 3)?;
    proxy.stop()
}

#[test]
fn a_doctor_finds_the_proxy_without_telling_it_anything() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.start(&[&schema()?])?;
    let machine = Machine::new(&arti, proxy.ingest())?;
    machine.configure("")?;
    // The proxy may still be publishing its address.
    let report = wait::until("a doctor that finds nothing", ARRIVAL, || {
        let (code, report) = machine.output(&["doctor"])?;
        Ok((code == 0).then_some(report))
    })?;
    let well = report.lines().filter(|line| line.starts_with("ok ")).count();
    ensure!(well == 7 && report.lines().count() == 7, "{report}");
    ensure!(report.contains("an Undertone proxy answers there"), "{report}");
    ensure!(proxy.metric("undertone_requests_malformed_total")? > 0);
    assert_eq!(proxy.metric("undertone_parcels_admitted_total")?, 0);
    proxy.stop()
}

/// What is written right before the end is sent by it. On a machine where Tor needs longer than the agent has
/// for it, the agent says so, and is given another try.
fn arrives_at_the_end(machine: &mut Machine, proxy: &Proxy) -> Result<()> {
    for number in 1..=TRIES {
        let time = now()?;
        machine.write(&format!("last number={number}i {time}"))?;
        let log = machine.stop(Signal::INT)?;
        if log.contains("not all of what waited could be sent") {
            machine.start()?;
            machine.wait_for("The ingest side takes what is pushed")?;
            continue;
        }
        let sql = format!("SELECT time FROM point WHERE measurement = 'last' AND value = {number}");
        return wait::until("what was written last", ARRIVAL, || {
            Ok((proxy.sqlite3(&sql)? == [[time.to_string()]]).then_some(()))
        });
    }
    anyhow::bail!("what is written last is never sent in time")
}

/// A point that a program writes.
struct Story {
    number: usize,
    time: i64,
    alias: &'static str,
}

impl Story {
    /// With the machine's real name, as many programs have it.
    fn line(&self) -> String {
        let Self { number, time, .. } = self;
        format!(
            "story,host=real-name,of=test number={number}i,third=0.1,large=18014398509481985i,so=true {time}"
        )
    }
}

/// Waits until exactly these points are in both databases.
fn arrive(proxy: &Proxy, database: &Influxd, written: &[Story]) -> Result<()> {
    let expected: Vec<[String; 5]> = written
        .iter()
        .map(|Story { number, time, alias }| {
            [&number.to_string(), "0.1", "18014398509481985", &time.to_string(), alias]
                .map(str::to_owned)
        })
        .collect();
    let sql = "SELECT max(CASE field WHEN 'number' THEN value END), \
               max(CASE field WHEN 'third' THEN value END), \
               max(CASE field WHEN 'large' THEN value END), time, json_extract(tags, '$.host') \
               FROM point WHERE measurement = 'story' GROUP BY tags, time ORDER BY time";
    wait::until("the points in the store", ARRIVAL, || {
        Ok((proxy.sqlite3(sql)? == expected).then_some(()))
    })
    .with_context(|| format!("the store has {:?}", proxy.sqlite3(sql)))?;
    wait::until("the points in InfluxDB", ARRIVAL, || {
        let rows = database.points("story")?;
        let mut found = Vec::new();
        for row in &rows {
            let time = nanoseconds(&row["_time"])?;
            ensure!(row["of"] == "test" && row["so"] == "true", "{row:?}");
            let text = |key: &str| row[key].clone();
            found.push([
                text("number"),
                text("third"),
                text("large"),
                time.to_string(),
                text("host"),
            ]);
        }
        found.sort_by(|one, other| one[3].cmp(&other[3]));
        Ok((found == expected).then_some(()))
    })
}

/// The wall clock in nanoseconds, with digits that no coarser unit has.
fn now() -> Result<i64> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    Ok(now / 1_000 * 1_000 + 123)
}

/// A time as Flux writes it (RFC 3339, UTC), in nanoseconds since 1970, as `date` reads it.
fn nanoseconds(text: &str) -> Result<i64> {
    let output = std::process::Command::new("date").args(["-d", text, "+%s%N"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
