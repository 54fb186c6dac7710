//! Agents without Tor of their own report through the SOCKS port of one C tor.
//!
//! A failure: a sum that differs by one; two agents on one circuit, which the proxy would refuse and
//! tor's control port would show. Not a failure: an agent that needs more than one circuit.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{folder::Folder, proxy::Proxy};

use crate::fixtures::{Reporter, Sums, arrives, in_store, mixed::MixedNetwork};

#[test]
fn p7_agents_that_share_a_socks_port_have_circuits_of_their_own() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let folder = Folder::new("control")?;
    let control = folder.join("control.sock");
    let client = tor.network.socks_client(&[&format!("ControlSocket {}", control.display())])?;
    let mut proxy = Proxy::on(&tor.arti_toml)?.start(&[&Reporter::schema()?])?;
    tor.wait_until_published(proxy.ingest())?;

    let (mut reporters, mut expected) = (Vec::new(), Sums::new());
    for number in 1..=3 {
        let arguments = [format!("--interval=inc {number}"), format!("--interval=inc {number}0")];
        let arguments = [&arguments[..], &["--last=inc 500".to_owned()]].concat();
        let reporter = Reporter::by_socks(client.socks_port(), proxy.ingest(), &arguments)?;
        expected.insert(reporter.session.clone(), 11 * number);
        reporters.push(reporter);
    }
    let counted = || in_store(&proxy, "reporter.things.count", "delta");
    arrives("what three agents counted", &expected, counted)?;
    let users = users_on_circuits(&control)?;
    assert!(users.len() >= reporters.len(), "each has a circuit: {users:?}");

    reporters.into_iter().try_for_each(|reporter| reporter.stop().map(drop))?;
    expected.values_mut().for_each(|sum| *sum += 500);
    arrives("what they counted last", &expected, counted)?;
    let refused = "undertone_points_refused_total{reason=\"second_session_on_circuit\"}";
    assert_eq!(proxy.metric(refused)?, 0);
    proxy.stop()
}

/// The SOCKS usernames that tor has rendezvous circuits for; each circuit must have one.
fn users_on_circuits(control: &Path) -> Result<BTreeSet<String>> {
    let mut stream = UnixStream::connect(control)?;
    stream.write_all(b"AUTHENTICATE\r\nGETINFO circuit-status\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("250 OK\r\n250+circuit-status="), "{answer}");
    let joined = answer.lines().filter(|line| line.contains("HS_STATE=HSCR_JOINED"));
    joined
        .map(|line| {
            let user =
                line.split("SOCKS_USERNAME=\"").nth(1).and_then(|rest| rest.split('"').next());
            Ok(user.with_context(|| format!("a circuit for everybody: {line}"))?.to_owned())
        })
        .collect()
}
