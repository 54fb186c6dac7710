//! The proxy goes away and comes back while file servers count, and agents go away in order.
//!
//! A failure: another address, an agent that doesn't find its way back, a sum that is too small or too
//! large by one in the end. Not a failure: a parcel that is sent twice (it is admitted once), how long
//! it takes, what the databases lack in between.

use anyhow::Result;
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork,
};

use crate::fixtures::{Load, file_servers, in_influxdb, in_store};

const CONNECTIONS: (&str, &str) = ("fileserver.connections.count", "delta");

#[test]
fn d3_a_proxy_that_is_stopped_or_killed_under_load_loses_and_doubles_nothing() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let database = Influxd::start()?;
    let mut proxy =
        Proxy::on(&tor.arti_toml()?)?.influxdb2(&database)?.start(&[&FileServer::schema()?])?;
    let servers = file_servers(2, tor, &proxy)?;

    let mut load = Load::default();
    for end in [Proxy::stop, Proxy::kill] {
        load.once(&servers)?;
        load.until_arrived("what was counted", &servers, || {
            in_store(&proxy, CONNECTIONS.0, CONNECTIONS.1)
        })?;
        // Right after it has answered a parcel, which a sink may not have yet.
        let admitted = proxy.metric("undertone_parcels_admitted_total")?;
        load.until("one more parcel", &servers, || {
            Ok((proxy.metric("undertone_parcels_admitted_total")? > admitted).then_some(()))
        })?;
        end(&mut proxy)?;
        load.times(50, &servers)?;
        proxy.start()?;
    }
    load.until_arrived("what was counted after the last start", &servers, || {
        in_store(&proxy, CONNECTIONS.0, CONNECTIONS.1)
    })?;
    let ingest = proxy.ingest().to_owned();
    let printed = proxy.process().map(|process| process.stdout()).unwrap_or_default();
    assert_eq!(printed.lines().collect::<Vec<_>>(), [&ingest; 3], "one address for all its lives");

    // And the agents' own end: what they counted last leaves while they stop.
    load.times(25, &servers)?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))?;
    proxy.stop()
}
