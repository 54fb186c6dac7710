//! A proxy is given a token that InfluxDB doesn't know; later the file is corrected, and nothing is started
//! again.
//!
//! A failure: a health page that finds nothing wrong, doesn't say what to do, or shows a token; a
//! number that InfluxDB lacks in the end. Not a failure: that a minute passes before the file is read
//! again, for a refused token is tried again slowly.

use std::fs;

use anyhow::{Result, ensure};
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork,
};

use crate::fixtures::{Load, file_servers, in_influxdb, in_store};

const WRONG: &str = "token-of-somebody-else";

#[test]
fn d3_a_wrong_token_is_told_and_once_corrected_nothing_was_lost() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?
        .file("token", WRONG)?
        .influxdb2_with("influx", &database, "")?
        .start(&[&FileServer::schema()?])?;
    let servers = file_servers(1, tor, &proxy)?;

    let mut load = Load::default();
    let page = load.until("/health to tell of the token", &servers, || {
        let answer = proxy.local("/health")?;
        Ok((answer.status == 503 && answer.body.contains("failing")).then_some(answer.body))
    })?;
    let line = page.lines().find(|line| line.starts_with("sink influx: failing")).unwrap_or("");
    ensure!(line.contains("InfluxDB 2 answered 401"), "{page}");
    ensure!(line.contains("correct token_file") && line.contains("without a restart"), "{page}");
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    ensure!(in_influxdb(&database, "fileserver.connections.count", "delta")?.is_empty());

    fs::write(proxy.folder().join("token"), &database.token)?;
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))?;
    load.until("/health to be well", &servers, || {
        Ok((proxy.local("/health")?.status == 200).then_some(()))
    })?;
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))?;
    servers.into_iter().try_for_each(FileServer::stop)?;

    let log = proxy.process().map(|process| process.log()).unwrap_or_default();
    for secret in [WRONG, &database.token] {
        ensure!(
            !page.contains(secret) && !log.contains(secret),
            "{secret} is told:\n{page}\n{log}"
        );
    }
    proxy.stop()
}
