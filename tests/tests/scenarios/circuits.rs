//! A real agent through a real Tor, seen by the tor that has the onion service: which circuit brings which
//! session, and when each circuit is joined and closed.
//!
//! A failure: two sessions on one circuit; a circuit that is still open when the next session's is
//! joined, though Arti keeps circuits for ten minutes. Not a failure: a circuit that brings nothing, sessions too short
//! to bring anything, one session on several circuits.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{folder::Folder, process::Process, programs, tor_network::TorClient, wait};
use undertone_wire::{
    endpoint::Ingest,
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
    session::SessionPublicKey,
};

use crate::fixtures::{ARRIVAL, ENDING, mixed::MixedNetwork, parcels::TAKEN};

/// Half an hour is three seconds: slots with a scope of lives come several times a second.
const FASTER: u32 = 600;
/// How many sessions must have brought something.
const SESSIONS: usize = 5;

#[test]
fn p7_through_tor_a_session_s_circuit_ends_before_the_next_session() -> Result<()> {
    let seen = sessions_through_tor("30m")?;
    assert!(seen.iter().any(|session| session.parcels > 3), "sessions of several parcels");
    one_after_another(&seen)
}

#[test]
fn p7_through_tor_with_scope_batch_a_circuit_ends_with_its_batch() -> Result<()> {
    let seen = sessions_through_tor("batch")?;
    assert!(seen.iter().all(|session| session.parcels == 1), "a batch each");
    one_after_another(&seen)
}

/// A session, as the service's tor sees it.
#[derive(Debug, Default)]
struct Seen {
    parcels: usize,
    circuits: Vec<u32>,
    /// Places in the order of events: when the first circuit was joined, when the last was closed.
    joined: usize,
    closed: Option<usize>,
}

fn one_after_another(sessions: &[Seen]) -> Result<()> {
    for (earlier, later) in sessions.iter().zip(&sessions[1..]) {
        for circuit in &earlier.circuits {
            ensure!(!later.circuits.contains(circuit), "two sessions on circuit {circuit}");
        }
        let closed = earlier.closed.with_context(|| {
            format!("{earlier:?} has an open circuit, and the next session came: {later:?}")
        })?;
        ensure!(closed < later.joined, "{earlier:?} and {later:?} overlap");
    }
    Ok(())
}

/// The first sessions that brought something, in their order.
fn sessions_through_tor(scope: &str) -> Result<Vec<Seen>> {
    let tor = MixedNetwork::shared()?;
    let service = Service::start(tor)?;
    let folder = Folder::new("rotating")?;
    let configuration = folder.join("tor.toml");
    fs::write(&configuration, &tor.arti_toml)?;
    let mut command = programs::binary("rotating")?;
    command
        .args(["--ingest", &service.onion, "--scope", scope, "--faster", &FASTER.to_string()])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--tor-config")
        .arg(configuration);
    let mut agent = Process::spawn("rotating", folder.path(), command)?;
    let seen = wait::until("sessions through Tor", ARRIVAL, || {
        let seen = service.seen();
        // The last one is still there.
        Ok((seen.len() > SESSIONS).then(|| seen.into_iter().take(SESSIONS).collect()))
    })?;
    agent.terminate(ENDING)?;
    Ok(seen)
}

/// An onion service of a C tor whose streams end here, and what its control port tells of circuits.
struct Service {
    onion: String,
    records: Arc<Mutex<Records>>,
    _tor: TorClient,
    _folder: Folder,
}

#[derive(Default)]
struct Records {
    /// Circuits that were joined or closed, in their order.
    events: Vec<(u32, Event)>,
    parcels: Vec<(u32, SessionPublicKey)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Joined,
    Closed,
}

impl Service {
    fn start(tor: &MixedNetwork) -> Result<Self> {
        let folder = Folder::new("service")?;
        let (socket, service) = (folder.join("service.sock"), folder.join("service"));
        let control = folder.join("control.sock");
        let listener = UnixListener::bind(&socket)?;
        let lines = [
            format!("HiddenServiceDir {}", service.display()),
            format!("HiddenServicePort 80 unix:{}", socket.display()),
            "HiddenServiceExportCircuitID haproxy".to_owned(),
            format!("ControlSocket {}", control.display()),
        ];
        let client = tor.network.socks_client(&lines.each_ref().map(|line| &**line))?;
        let onion = fs::read_to_string(service.join("hostname"))?.trim().to_owned();
        let records = Arc::new(Mutex::new(Records::default()));
        watch_circuits(&control, Arc::clone(&records))?;
        let (ingest, shared) = (onion.parse()?, Arc::clone(&records));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (ingest, shared): (Ingest, _) = (Ingest::clone(&ingest), Arc::clone(&shared));
                // What is no parcel, such as a stream that only looks whether the service is there, is not of interest.
                thread::spawn(move || answer(stream, &ingest, &shared));
            }
        });
        tor.wait_until_published(&onion)?;
        Ok(Self { onion, records, _tor: client, _folder: folder })
    }

    /// The sessions that brought something, in their order.
    fn seen(&self) -> Vec<Seen> {
        let records = lock(&self.records);
        let place =
            |circuit: u32, event| records.events.iter().position(|e| *e == (circuit, event));
        let mut order: Vec<SessionPublicKey> = Vec::new();
        let mut sessions: BTreeMap<[u8; 32], Seen> = BTreeMap::new();
        for (circuit, key) in &records.parcels {
            if !order.contains(key) {
                order.push(*key);
            }
            let seen = sessions.entry(*key.as_bytes()).or_default();
            seen.parcels += 1;
            if !seen.circuits.contains(circuit) {
                seen.circuits.push(*circuit);
            }
        }
        let with_places = order.iter().filter_map(|key| {
            let mut seen = sessions.remove(key.as_bytes())?;
            let joined = seen.circuits.iter().filter_map(|circuit| place(*circuit, Event::Joined));
            seen.joined = joined.min()?;
            // All of them, or it isn't over.
            let closed: Option<Vec<usize>> =
                seen.circuits.iter().map(|circuit| place(*circuit, Event::Closed)).collect();
            seen.closed = closed.and_then(|closed| closed.into_iter().max());
            Some(seen)
        });
        with_places.collect()
    }
}

fn lock(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a parcel as a proxy would, and notes which circuit brought it.
fn answer(stream: UnixStream, ingest: &Ingest, records: &Mutex<Records>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let circuit = circuit_in(&line).with_context(|| format!("no circuit in {line:?}"))?;
    let mut request = vec![0; REQUEST_LENGTH];
    stream.read_exact(&mut request)?;
    let parcel = unseal(&request[REQUEST_LENGTH - BODY_LENGTH..], &ingest.deployment)?;
    lock(records).parcels.push((circuit, parcel.session));
    stream.get_mut().write_all(TAKEN.as_bytes())?;
    Ok(())
}

/// The last 32 bits of the source address.
fn circuit_in(line: &str) -> Option<u32> {
    let source: std::net::Ipv6Addr = line.split(' ').nth(2)?.parse().ok()?;
    let [.., high, low] = source.segments();
    Some(u32::from(high) << 16 | u32::from(low))
}

/// Notes circuits of the service that clients join, and their ends, until tor ends.
fn watch_circuits(control: &Path, records: Arc<Mutex<Records>>) -> Result<()> {
    let mut stream = UnixStream::connect(control)?;
    stream.write_all(b"AUTHENTICATE\r\nSETEVENTS CIRC CIRC_MINOR\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    for _ in 0..2 {
        let line = lines.next().context("tor closed its control socket")??;
        ensure!(line == "250 OK", "{line}");
    }
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ').skip(2);
            let circuit = words.next().and_then(|number| number.parse().ok());
            let (Some(circuit), Some(what)) = (circuit, words.next()) else { continue };
            if what == "CLOSED" {
                lock(&records).events.push((circuit, Event::Closed));
            } else if line.contains("HS_STATE=HSSR_JOINED") {
                lock(&records).events.push((circuit, Event::Joined));
            }
        }
    });
    Ok(())
}
