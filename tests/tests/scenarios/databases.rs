//! A file server and another program report to one proxy; InfluxDB 1 is given what the one says, InfluxDB 2
//! what the other says, and the embedded store gets both. Later the store is asked, backed up, and
//! written to an InfluxDB 1 that was not there before.
//!
//! A failure: a sum that differs by one, a measurement in a database that is not given its namespace,
//! a store that says something else through the proxy than through `sqlite3`. Not a failure: how long
//! anything takes, or in which order rows come.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, process::Command};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    file_server::FileServer,
    influxdb1::Influxd1,
    influxdb2::{Influxd, rows_of_csv},
    proxy::{self, Proxy},
    tor_network::TorNetwork,
    wait,
};

use crate::fixtures::{ARRIVAL, Load, Reporter, Sums, file_servers, in_influxdb1, in_store};

const SUMS: [(&str, &str); 4] = [
    ("fileserver.connections.count", "delta"),
    ("fileserver.egress.meter", "delta"),
    ("fileserver.size.histogram", "sum"),
    ("fileserver.latency.timer", "delta"),
];

#[test]
fn each_database_gets_its_namespaces_and_the_store_can_be_asked() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let (one, two) = (Influxd1::start()?, Influxd::start()?);
    let mut proxy = Proxy::on(&tor.arti_toml()?)?
        .influxdb1_with("one", &one, "database = \"telemetry\"\nnamespaces = [\"fileserver\"]")?
        .file("token", &two.token)?
        .influxdb2_with("two", &two, "namespaces = [\"reporter\"]")?
        .start(&[&FileServer::schema()?, &Reporter::schema()?])?;
    let servers = file_servers(2, tor, &proxy)?;
    let reporter = Reporter::start(tor, proxy.ingest(), &["--interval=inc 2, ok 1000".to_owned()])?;

    let mut load = Load::default();
    load.times(50, &servers)?;
    load.is_all_there("InfluxDB 1", |measurement, field| in_influxdb1(&one, measurement, field))?;
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    wait::until("the reporter in InfluxDB 2", ARRIVAL, || {
        Ok((!two.points("reporter.things.count")?.is_empty()).then_some(()))
    })?;
    reporter.stop()?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    wait::until("nobody to be behind", ARRIVAL, || {
        let behind = ["one", "two", "store"]
            .map(|sink| proxy.metric(&format!("undertone_sink_lag_parcels{{sink=\"{sink}\"}}")));
        Ok(behind.into_iter().sum::<Result<u64>>()?.eq(&0).then_some(()))
    })?;
    let admitted = proxy.metric("undertone_points_admitted_total")?;
    for (sink, passes) in [("one", true), ("two", true), ("store", false)] {
        let count = |what: &str| {
            proxy.metric(&format!("undertone_sink_points_{what}_total{{sink=\"{sink}\"}}"))
        };
        assert_eq!(count("written")? + count("passed")?, admitted, "{sink}");
        assert_eq!(count("passed")? > 0, passes, "{sink}");
    }
    assert_eq!(namespaces_of_influxdb1(&one)?, BTreeSet::from(["fileserver".to_owned()]));
    assert_eq!(namespaces_of_influxdb2(&two)?, BTreeSet::from(["reporter".to_owned()]));

    asks_the_store(&proxy)?;
    backs_the_store_up(&proxy)?;
    exports_to_a_new_database(&proxy, &load)?;
    assert_eq!(proxy.local("/health")?.status, 200);
    proxy.stop()
}

/// What `query` prints is what `sqlite3` finds.
fn asks_the_store(proxy: &Proxy) -> Result<()> {
    const COLUMNS: &str = "time, measurement, session, tags, field, kind, value";
    let session = proxy
        .sqlite3("SELECT min(session) FROM point WHERE measurement = 'fileserver.egress.meter'")?
        .remove(0)
        .remove(0);
    for (arguments, condition) in [
        (vec!["--csv"], "true".to_owned()),
        (vec!["--csv", "--since", "10years"], "true".to_owned()),
        (
            vec!["--csv", "--measurement", "fileserver.latency.timer"],
            "measurement = 'fileserver.latency.timer'".to_owned(),
        ),
        (
            vec!["--csv", "--measurement", "fileserver.egress.meter", "--session", &session],
            format!("measurement = 'fileserver.egress.meter' AND session = '{session}'"),
        ),
        (vec!["--csv", "--measurement", "nothing"], "false".to_owned()),
    ] {
        let csv = proxy.output(&[&["query"], &*arguments].concat())?;
        ensure!(csv.lines().next() == Some(&COLUMNS.replace(", ", ",")), "{csv}");
        // Two ways to write the same number: SQLite's has 15 digits.
        let mut ours: Vec<Vec<String>> = Vec::new();
        for row in rows_of_csv(&csv)? {
            let mut row: Vec<String> =
                COLUMNS.split(", ").map(|column| row[column].clone()).collect();
            if row[5] == "f" {
                row[6] = format!("{:.9e}", row[6].parse::<f64>()?);
            }
            ours.push(row);
        }
        let mut theirs =
            proxy.sqlite3(&format!("SELECT {COLUMNS} FROM point WHERE {condition}"))?;
        for row in theirs.iter_mut().filter(|row| row[5] == "f") {
            row[6] = format!("{:.9e}", row[6].parse::<f64>()?);
        }
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{arguments:?}");
        ensure!(ours.is_empty() == (condition == "false"), "{arguments:?}");
    }
    let all = proxy.output(&["export"])?;
    assert_eq!(proxy.output(&["query"])?, all);
    assert!(proxy.output(&["query", "--since", "soon"]).is_err());
    Ok(())
}

/// A backup made while the proxy runs is whole, private, and doesn't replace anything.
fn backs_the_store_up(proxy: &Proxy) -> Result<()> {
    let file = proxy.folder().join("backup.sqlite3");
    let name = file.to_str().context("a path in UTF-8")?;
    proxy.output(&["backup", name])?;
    assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
    let dump = |path: &std::path::Path| -> Result<String> {
        let sql = "PRAGMA integrity_check; SELECT * FROM point ORDER BY 1, 2, 3, 4, 5";
        let output = Command::new("sqlite3").args(["-readonly"]).arg(path).arg(sql).output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let copy = dump(&file)?;
    ensure!(copy.starts_with("ok\n") && copy.contains("fileserver.connections.count"), "{copy}");
    assert_eq!(copy, dump(&proxy.folder().join("data/store.sqlite3"))?);
    let error = failure(proxy.output(&["backup", name]))?;
    ensure!(error.contains("exists"), "{error}");
    assert_eq!(dump(&file)?, copy);
    Ok(())
}

/// The whole store goes to a database that was not there while it was filled; twice is as once.
fn exports_to_a_new_database(proxy: &Proxy, load: &Load) -> Result<()> {
    let archive = Influxd1::start()?;
    let configuration = format!(
        "data_dir = \"data\"\n{}",
        proxy::influxdb1("archive", &archive, "database = \"telemetry\"")
    );
    fs::write(proxy.folder().join("archive.toml"), configuration)?;
    for _ in 0..2 {
        proxy.output_with("archive.toml", &["export", "--to", "archive"])?;
        load.is_all_there("the archive", |measurement, field| {
            in_influxdb1(&archive, measurement, field)
        })?;
        for (measurement, field) in SUMS {
            let store: Sums = in_store(proxy, measurement, field)?;
            assert_eq!(in_influxdb1(&archive, measurement, field)?, store, "{measurement} {field}");
        }
        let both = ["fileserver", "reporter"].map(str::to_owned);
        assert_eq!(namespaces_of_influxdb1(&archive)?, BTreeSet::from(both));
    }
    let nobody = proxy.output_with("archive.toml", &["export", "--to", "nobody"]);
    let error = failure(nobody)?;
    ensure!(error.contains("archive"), "it names those that there are: {error}");
    Ok(())
}

fn failure(outcome: Result<String>) -> Result<String> {
    Ok(outcome.err().context("it was done")?.to_string())
}

fn namespaces_of_influxdb1(database: &Influxd1) -> Result<BTreeSet<String>> {
    let series = database.query("SHOW MEASUREMENTS")?;
    let names =
        series.iter().flat_map(|series| &series.rows).filter_map(|row| row.first()?.as_str());
    Ok(names.map(namespace).collect())
}

fn namespaces_of_influxdb2(database: &Influxd) -> Result<BTreeSet<String>> {
    let rows = database.query_flux(&format!(
        "import \"influxdata/influxdb/schema\" schema.measurements(bucket: \"{}\")",
        database.bucket
    ))?;
    Ok(rows.iter().map(|row| namespace(&row["_value"])).collect())
}

fn namespace(measurement: &str) -> String {
    measurement.split('.').next().unwrap_or_default().to_owned()
}
