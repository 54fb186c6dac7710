//! Two processes of one program name one data folder.
//!
//! A failure: a process that can't start or report for the other's sake, two that use one state of Tor,
//! a sum that differs by one, a folder for each start. Not a failure: in which order they arrive.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use undertone_tests::{folder::Folder, proxy::Proxy, tor_network::TorNetwork, wait};

use crate::fixtures::{Reporter, Sums, arrives, in_store};

const FOLDERS_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn two_agents_in_one_data_folder() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.start(&[&Reporter::schema()?])?;
    let folder = Folder::new("shared")?;
    let data = folder.join("data");
    let start = |number: i64| {
        let intervals = [format!("--interval=inc {number}"), format!("--interval=inc {number}0")];
        Reporter::sharing(&data, tor, proxy.ingest(), &intervals)
    };
    let counted = || in_store(&proxy, "reporter.things.count", "delta");

    let (mut first, second) = (start(1)?, start(2)?);
    are_held(&data, [true, true])?;
    let mut expected = Sums::from([(first.session.clone(), 11), (second.session.clone(), 22)]);
    assert_eq!(expected.len(), 2, "each has a session of its own");
    arrives("what both counted", &expected, counted)?;
    for name in ["tor-0", "tor-1"] {
        assert!(data.join(name).join("state").is_dir(), "each has a Tor of its own");
    }
    // However they end.
    first.process.kill()?;
    second.stop()?;
    are_held(&data, [false, false])?;

    let third = start(3)?;
    are_held(&data, [true, false])?;
    expected.insert(third.session.clone(), 33);
    arrives("what the third counted", &expected, counted)?;
    third.stop()?;
    proxy.stop()
}

/// Waits until the first two folders are held like that, and no others are there. A process takes its
/// folder beside what it does first.
fn are_held(data: &Path, expected: [bool; 2]) -> Result<()> {
    let [first, second] = expected;
    let expected = [("tor-0".to_owned(), first), ("tor-1".to_owned(), second)];
    wait::until("who holds which folder", FOLDERS_LIMIT, || {
        Ok((held(data)? == expected).then_some(()))
    })
}

/// What is in the data folder, and whether a process holds it.
fn held(data: &Path) -> Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in data.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        let held = match File::open(path.join("lock"))?.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(error.into()),
        };
        found.push((name, held));
    }
    found.sort();
    Ok(found)
}
