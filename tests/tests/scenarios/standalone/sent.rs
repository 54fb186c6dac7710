//! What `undertone sent` shows is what came out of Tor on the other side.
//!
//! A failure: a byte that differs, a request that one side has and the other hasn't, chaff that isn't shown.
//! Not a failure: an attempt that was cut off on its way, which the ledger shows as such.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use undertone::{
    FailureKind,
    ledger::{self, Outcome, SentParcel},
};
use undertone_tests::{capture::NO_CONTENT, folder::Folder, process::Signal, recorder::Recorder};
use undertone_wire::request::REQUEST_LENGTH;

use super::machine::Machine;
use crate::fixtures::{ARRIVAL, mixed::MixedNetwork};

#[test]
fn p9_what_is_shown_as_sent_is_what_came_out_of_tor() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let folder = Folder::new("recorder")?;
    let (socket, service) = (folder.join("ingest.sock"), folder.join("service"));
    let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let recorder = Recorder::listen(&socket, REQUEST_LENGTH, unavailable)?;
    let front = [
        format!("HiddenServiceDir {}", service.display()),
        format!("HiddenServicePort 80 unix:{}", socket.display()),
    ];
    let _front = tor.network.socks_client(&front.each_ref().map(|line| &**line))?;
    let onion = fs::read_to_string(service.join("hostname"))?;
    tor.wait_until_published(onion.trim())?;

    let mut machine = Machine::new(&tor.arti_toml, onion.trim())?;
    machine.configure("alias = \"attic\"")?;
    machine.start()?;
    recorder.wait_for(3, ARRIVAL)?;
    recorder.answer(NO_CONTENT);
    recorder.wait_for(30, ARRIVAL)?;
    machine.stop(Signal::TERM)?;

    let sent: Vec<SentParcel> = ledger::read(machine.data())?.collect();
    let arrived = |parcel: &&SentParcel| {
        matches!(parcel.outcome(), Outcome::Taken | Outcome::Failed(FailureKind::Unavailable))
    };
    let arrived: Vec<Vec<u8>> = sent.iter().filter(arrived).map(SentParcel::request).collect();
    let all: BTreeSet<Vec<u8>> = sent.iter().map(SentParcel::request).collect();
    let received = recorder.requests();
    assert!(received.iter().all(|request| all.contains(request)), "not all is in the ledger");
    // What was cut off may have been received all the same.
    let answered: Vec<_> = received.iter().filter(|request| arrived.contains(request)).collect();
    assert!(answered.iter().copied().eq(&arrived), "not what came out of Tor, in its order");
    assert!(arrived.len() >= 30 && arrived[0] == arrived[1], "what wasn't taken came again");
    assert!(sent.iter().any(SentParcel::is_chaff) && !sent.iter().all(SentParcel::is_chaff));

    let (code, raw) = machine.bytes(&["sent", "--raw"])?;
    assert_eq!(code, 0);
    assert!(raw == sent.iter().flat_map(SentParcel::request).collect::<Vec<u8>>());
    let (_, shown) = machine.output(&["sent"])?;
    let session = sent[0].session().context("no session")?.to_string();
    for text in [&*session, "chaff, taken", "host=attic", "points, taken", "to be tried again"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(shown.matches(&session).count(), sent.len(), "a line for each");
    let (_, none) = machine.output(&["sent", "--session", "no-session"])?;
    assert!(none.starts_with("0 requests"), "{none}");
    Ok(())
}
