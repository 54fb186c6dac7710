//! One InfluxDB 1 behind HTTPS is two sinks: one knows the authority of its certificate, the other knows
//! another authority until the operator corrects that.
//!
//! A failure: a point that is written over a connection that isn't trusted, a health page that
//! finds nothing wrong or doesn't say what to do, a number that is lacking in the end. Not a failure: that
//! the proxy must be started again for another `ca_file`.

use std::fs;

use anyhow::{Result, ensure};
use undertone_tests::{
    certificates::Authority, file_server::FileServer, influxdb1::Influxd1, proxy::Proxy,
    tor_network::TorNetwork,
};

use crate::fixtures::{Load, file_servers, in_influxdb1, in_influxdb1_called, in_store};

#[test]
fn d3_a_database_that_is_not_trusted_gets_nothing_until_it_is() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let (authority, another) = (Authority::new()?, Authority::new()?);
    let database = Influxd1::start_https(&authority)?;
    database.create("late")?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?
        .file("right.pem", &fs::read_to_string(authority.ca())?)?
        .file("wrong.pem", &fs::read_to_string(another.ca())?)?
        .influxdb1_with("right", &database, "database = \"telemetry\"\nca_file = \"right.pem\"")?
        .influxdb1_with("wrong", &database, "database = \"late\"\nca_file = \"wrong.pem\"")?
        .start(&[&FileServer::schema()?])?;
    let servers = file_servers(1, tor, &proxy)?;

    let mut load = Load::default();
    load.times(20, &servers)?;
    load.is_all_there("InfluxDB", |measurement, field| {
        in_influxdb1(&database, measurement, field)
    })?;
    let page = load.until("/health to tell of the certificate", &servers, || {
        let answer = proxy.local("/health")?;
        Ok((answer.status == 503 && answer.body.contains("failing")).then_some(answer.body))
    })?;
    let line = page.lines().find(|line| line.starts_with("sink wrong: failing")).unwrap_or("");
    ensure!(line.contains("authority that isn't trusted") && line.contains("ca_file"), "{page}");
    ensure!(page.contains("sink right: ok"), "{page}");
    let late =
        |measurement: &str, field: &str| in_influxdb1_called("late", &database, measurement, field);
    ensure!(late("fileserver.connections.count", "delta")?.is_empty());

    proxy.stop()?;
    fs::copy(authority.ca(), proxy.folder().join("wrong.pem"))?;
    proxy.start()?;
    load.times(20, &servers)?;
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    load.is_all_there("InfluxDB", |measurement, field| {
        in_influxdb1(&database, measurement, field)
    })?;
    load.is_all_there("the late database", late)?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    proxy.stop()
}
