//! Where Tor is blocked or everything goes through a proxy: what `[tor]` says is what Tor does.
//!
//! A failure: a connection to a relay that isn't the bridge, or past the proxy. Not a failure: how long Tor takes.

use anyhow::{Result, ensure};
use undertone_tests::{
    capture::SocksCapture, process::Signal, proxy::Proxy, tor_network::TorNetwork, wait,
};

use super::machine::{Machine, schema};
use crate::{fixtures::ARRIVAL, host::NOBODY};

#[test]
fn with_a_bridge_no_other_relay_is_connected_to() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let arti = tor.arti_toml()?;
    let mut proxy = Proxy::on(&arti)?.start(&[&schema()?])?;
    let bridge = tor.node("relay1")?;
    let mut machine = Machine::new(&arti, proxy.ingest())?;
    machine.configure(&format!(
        "[tor.bridges]\nenabled = true\nbridges = [\"127.0.0.1:{} {}\"]",
        bridge.or_port,
        bridge.rsa_identity()?
    ))?;
    machine.start()?;
    machine.wait_for("The ingest side takes what is pushed")?;
    let ports = machine.connected_to()?;
    ensure!(ports.iter().all(|port| *port == bridge.or_port), "{ports:?}, not {}", bridge.or_port);
    ensure!(!ports.is_empty(), "connected to nothing");
    machine.stop(Signal::TERM)?;
    proxy.stop()
}

#[test]
fn with_an_outbound_proxy_nothing_goes_past_it() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let capture = SocksCapture::start()?;
    let mut machine = Machine::new(&tor.arti_toml()?, NOBODY)?;
    let address = capture.address();
    machine.configure(&format!("[tor.channel]\noutbound_proxy = \"socks5://{address}\""))?;
    machine.start()?;
    wait::until("a connection through the proxy", ARRIVAL, || {
        let ports = machine.connected_to()?;
        ensure!(ports.iter().all(|port| *port == address.port()), "{ports:?}, not {address}");
        Ok((capture.connections() > 0).then_some(()))
    })?;
    machine.stop(Signal::TERM).map(drop)
}
