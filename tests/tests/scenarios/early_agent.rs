//! An agent that starts before the service that it reports to.
//!
//! A failure: an agent that gives up, or loses what it counted while there was nobody to tell. Not a
//! failure: how long it takes to find the service once that is there.

use anyhow::Result;
use undertone_tests::{proxy::Proxy, tor_network::TorNetwork};

use crate::fixtures::{ARRIVAL, Reporter, Sums, arrives, in_store};

#[test]
fn what_is_counted_before_the_service_exists_arrives() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.build(&[&Reporter::schema()?])?;
    let intervals = ["inc 7", "inc 4, size 100, size 20", "dec"];
    let arguments: Vec<String> = intervals.map(|text| format!("--interval={text}")).into();
    let mut reporter = Reporter::start(tor, proxy.ingest(), &arguments)?;
    reporter.process.wait_for("a push that found no service", ARRIVAL, |log| {
        log.contains("state Failing(Endpoint)").then_some(())
    })?;
    reporter.process.wait_for("everything to be counted", ARRIVAL, |log| {
        (log.matches("recorded in reading").count() == intervals.len()).then_some(())
    })?;

    proxy.start()?;
    let sum = |sum| Sums::from([(reporter.session.clone(), sum)]);
    for (measurement, field, expected) in [
        ("reporter.things.count", "delta", 10),
        ("reporter.sizes.histogram", "delta", 2),
        ("reporter.sizes.histogram", "sum", 120),
    ] {
        arrives(measurement, &sum(expected), || in_store(&proxy, measurement, field))?;
    }
    reporter.stop()?;
    proxy.stop()
}
