//! InfluxDB goes away, in order and not, and comes back while a file server counts.
//!
//! A failure: a number that the embedded store lacks meanwhile or InfluxDB in the end, a health page
//! that finds nothing wrong, or that shows what only the database and the operator's files may hold.
//! Not a failure: that InfluxDB gets its points late, or some of them twice (they overwrite themselves).

use anyhow::{Result, ensure};
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork,
};

use crate::fixtures::{Load, file_servers, in_influxdb, in_store};

#[test]
fn d3_a_database_that_is_away_for_a_while_gets_everything_in_the_end() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut database = Influxd::start()?;
    let mut proxy =
        Proxy::on(&tor.arti_toml()?)?.influxdb2(&database)?.start(&[&FileServer::schema()?])?;
    let servers = file_servers(1, tor, &proxy)?;

    let mut load = Load::default();
    load.once(&servers)?;
    load.until_arrived("the first numbers in InfluxDB", &servers, || {
        in_influxdb(&database, "fileserver.connections.count", "delta")
    })?;
    for kill in [false, true] {
        health(&mut load, &servers, &proxy, 200)?;
        if kill {
            database.kill()
        } else {
            database.stop()?
        }

        let page = health(&mut load, &servers, &proxy, 503)?;
        let failing: Vec<&str> = page.lines().filter(|line| line.contains("failing")).collect();
        ensure!(matches!(failing[..], [line] if line.starts_with("sink influx: ")), "{page}");
        for secret in [&database.token, &database.url(), &database.bucket, &database.org] {
            ensure!(!page.contains(secret.as_str()), "{secret} is on the health page: {page}");
        }
        assert_eq!(proxy.metric("undertone_sink_up{sink=\"influx\"}")?, 0);
        assert_eq!(proxy.metric("undertone_sink_up{sink=\"store\"}")?, 1);
        load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;

        database.start_again()?;
        load.until_arrived("InfluxDB to catch up", &servers, || {
            in_influxdb(&database, "fileserver.connections.count", "delta")
        })?;
    }
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))?;
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    health(&mut load, &servers, &proxy, 200)?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    proxy.stop()
}

/// The health page as soon as it has this status.
fn health(load: &mut Load, servers: &[FileServer], proxy: &Proxy, status: u16) -> Result<String> {
    load.until(&format!("/health to answer {status}"), servers, || {
        let answer = proxy.local("/health")?;
        Ok((answer.status == status).then_some(answer.body))
    })
}
