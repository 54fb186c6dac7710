//! What becomes of an agent when its process forks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use undertone::Ingest;
use undertone_tests::{capture::SocksCapture, folder::Folder, process::Process, programs};
use undertone_wire::{
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

use super::PATIENCE;
use crate::host::NOBODY;

/// The parent's agent and one in each of two children.
const AGENTS: usize = 3;

#[test]
fn p1_p3_after_a_fork_the_child_is_silent_and_no_session_is_used_twice() -> Result<()> {
    let (capture, folder) = (SocksCapture::start()?, Folder::new("forking")?);
    let mut command = programs::binary("forking")?;
    command.args(["--ingest", NOBODY, "--socks", &capture.address().to_string()]);
    command.arg("--data-dir").arg(folder.path().join("data"));
    command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_OFF");
    let mut process = Process::spawn("forking", folder.path(), command)?;
    let status = process.wait(3 * PATIENCE)?;
    ensure!(status.success(), "{status}\n{}", process.log());

    let said = process.stdout();
    let sessions = said.lines().filter_map(|line| line.strip_prefix("session "));
    let sessions: BTreeSet<String> = sessions.map(str::to_owned).collect();
    assert_eq!(sessions.len(), AGENTS, "each agent has a session of its own: {said}");
    let ingest: Ingest = NOBODY.parse()?;
    let (mut seen, mut credentials) = (BTreeMap::new(), BTreeMap::new());
    for stream in capture.streams() {
        for request in stream.requests() {
            let body = &request[REQUEST_LENGTH - BODY_LENGTH..];
            let parcel = unseal(body, &ingest.deployment).context("unsealing")?;
            let session = parcel.session.id().to_string();
            *seen.entry(parcel.id.0).or_insert(0) += 1;
            let other = credentials.insert(stream.credentials.clone(), session.clone());
            ensure!(other.is_none_or(|other| other == session), "two sessions on one circuit");
            ensure!(sessions.contains(&session), "a session of nobody: {session}");
        }
    }
    // Everything was answered, so nothing was sent a second time by the agent that had sealed it.
    let doubled = seen.values().filter(|count| **count > 1).count();
    assert_eq!(doubled, 0, "parcels that were sent twice, of {}", seen.len());
    assert_eq!(credentials.len(), AGENTS, "circuits");
    Ok(())
}
