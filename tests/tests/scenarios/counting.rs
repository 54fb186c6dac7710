//! Every request that three file servers answer stands in both databases, under three sessions.
//!
//! A failure: a sum that differs by one, a session too many or too few, a tag that isn't `session` or
//! declared. Not a failure: how long it takes, or into how many points a number is cut.

use anyhow::Result;
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork,
};

use crate::fixtures::{Sums, arrives, file_servers, in_influxdb, in_store};

#[test]
fn three_file_servers_are_counted_alike_in_influxdb_and_the_embedded_store() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let mut proxy =
        Proxy::on(&tor.arti_toml()?)?.influxdb2(&database)?.start(&[&FileServer::schema()?])?;
    let servers = file_servers(3, tor, &proxy)?;

    let (mut connections, mut bytes) = (Sums::new(), Sums::new());
    for (index, server) in servers.iter().enumerate() {
        for request in 0..(100 + 10 * index) {
            let received = server.fetch(1_000 * index + request)?;
            *connections.entry(server.session.clone()).or_default() += 1;
            *bytes.entry(server.session.clone()).or_default() += received as i64;
        }
    }
    assert_eq!(connections.len(), 3, "each start is a session of its own");

    for (measurement, field, expected) in [
        ("fileserver.connections.count", "delta", &connections),
        ("fileserver.egress.meter", "delta", &bytes),
        ("fileserver.size.histogram", "delta", &connections),
        ("fileserver.size.histogram", "sum", &bytes),
        ("fileserver.latency.timer", "delta", &connections),
    ] {
        arrives(&format!("{measurement} {field} in the store"), expected, || {
            in_store(&proxy, measurement, field)
        })?;
        arrives(&format!("{measurement} {field} in InfluxDB"), expected, || {
            in_influxdb(&database, measurement, field)
        })?;
    }
    let tags = proxy.sqlite3("SELECT DISTINCT tags FROM point ORDER BY tags")?;
    assert_eq!(tags, [["{\"outcome\":\"not_found\"}"], ["{\"outcome\":\"ok\"}"], ["{}"]]);
    servers.into_iter().try_for_each(FileServer::stop)?;
    proxy.stop()
}
