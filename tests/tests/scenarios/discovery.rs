//! A service that only its clients may find.
//!
//! A failure: somebody without a key, or with another one, whose parcel arrives, or who isn't told why it doesn't; a
//! client that was added, also while the proxy runs, and doesn't get through; a service that opens when its last client
//! goes. Not a failure: how long a change takes to get around, or a client that was removed and still gets through.

use std::path::PathBuf;

use anyhow::{Context, Result};
use undertone_tests::{folder::Folder, programs, proxy::Proxy, tor_network::TorNetwork};

use crate::fixtures::{ARRIVAL, Reporter, Sums, arrives, in_store, mixed::MixedNetwork};

#[test]
fn s6_only_who_has_a_key_finds_the_service() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.build(&[&Reporter::schema()?])?;
    let folder = Folder::new("client-keys")?;
    let (attic, attic_line) = key(&folder, "attic", proxy.ingest())?;
    let (cellar, cellar_line) = key(&folder, "cellar", proxy.ingest())?;
    proxy.output(&["client", "add", "attic", &attic_line])?;
    assert_eq!(proxy.output(&["client", "list"])?, format!("attic\t{attic_line}\n"));
    proxy.start()?;

    let reports = |number: i64| [format!("--interval=inc {number}")];
    let known = Reporter::keyed(tor, proxy.ingest(), Some(&attic), &reports(7))?;
    let mut other = Reporter::keyed(tor, proxy.ingest(), Some(&cellar), &reports(20))?;
    let mut nobody = Reporter::keyed(tor, proxy.ingest(), None, &reports(300))?;
    let counted = || in_store(&proxy, "reporter.things.count", "delta");
    let mut expected = Sums::from([(known.session.clone(), 7)]);
    arrives("what the only client counted", &expected, counted)?;
    for reporter in [&mut other, &mut nobody] {
        reporter.process.wait_for("to be told that a key is wanted", ARRIVAL, |log| {
            log.contains("state Failing(ClientKey)").then_some(())
        })?;
        assert!(!reporter.process.log().contains("state Quiet"), "it got through");
    }
    assert_eq!(counted()?, expected, "what others counted");

    // While both run: what it counted before was kept.
    proxy.output(&["client", "add", "cellar", &cellar_line])?;
    expected.insert(other.session.clone(), 20);
    arrives("what the second client counted", &expected, counted)?;
    assert!(!nobody.process.log().contains("state Quiet"), "it got through");

    for name in ["attic", "cellar"] {
        proxy.output(&["client", "remove", name])?;
    }
    assert_eq!(proxy.output(&["client", "list"])?, "", "nobody, and not everybody");
    for reporter in [known, other, nobody] {
        reporter.stop()?;
    }
    assert_eq!(counted()?, expected);
    proxy.stop()
}

#[test]
fn s6_a_client_of_c_tor_finds_the_service_with_the_same_file() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml)?.build(&[])?;
    let folder = Folder::new("client-keys")?;
    let (keys, line) = key(&folder, "keys", proxy.ingest())?;
    proxy.output(&["client", "add", "c-tor", &line])?;
    proxy.start()?;
    let option = format!("ClientOnionAuthDir {}", keys.display());
    let with = tor.network.socks_client(&[&option])?;
    undertone_tests::wait::until("a C tor with the key to get through", ARRIVAL, || {
        Ok(with.reaches(proxy.ingest(), 80, "with")?.then_some(()))
    })?;
    let without = tor.network.socks_client(&[])?;
    assert!(!without.reaches(proxy.ingest(), 80, "without")?, "a C tor without the key");
    proxy.stop()
}

/// A key as the agent's own command makes it: its folder, and the public line.
fn key(folder: &Folder, name: &str, ingest: &str) -> Result<(PathBuf, String)> {
    let keys = folder.join(name);
    let output = programs::binary("undertone")?
        .args(["client-key", "new", "--ingest", ingest])
        .arg(&keys)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{error}");
    let printed = String::from_utf8(output.stdout)?;
    let line = printed.strip_suffix('\n').context("a line")?.to_owned();
    assert!(line.starts_with("descriptor:x25519:") && !line.contains('\n'), "{line}");
    Ok((keys, line))
}
