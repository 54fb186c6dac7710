//! A proxy without Tor of its own: a C tor has the onion service and hands it streams by a unix socket.
//!
//! A failure: a sum that differs by one, also over restarts of the proxy; a second session on a circuit
//! that is stored, or a first one that is refused, also when tor was started again and counts its
//! circuits anew; a request that is none; a socket that is left behind or in the way. Not a failure: pushes that find nobody while the proxy is away, how long they take.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use anyhow::Result;
use undertone_tests::{
    file_server::FileServer, folder::Folder, proxy::Proxy, tor_network::TorClient,
};
use undertone_wire::endpoint::Ingest;

use crate::fixtures::{
    Load, RHYTHM, Sums, arrives, in_store,
    mixed::MixedNetwork,
    parcels::{TAKEN, connections, request, sealed, session},
};

#[test]
fn d3_a_proxy_behind_a_c_tor_counts_exactly_over_restarts() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let mut behind = Behind::start(tor)?;
    let ingest = behind.proxy.ingest().to_owned();
    let page = behind.proxy.local("/health")?;
    assert!(page.status == 200 && page.body.contains("front: unix socket\n"), "{page:?}");

    let servers: Vec<FileServer> = (0..2)
        .map(|_| FileServer::start(&tor.arti_toml, &ingest, RHYTHM))
        .collect::<Result<_>>()?;
    let mut load = Load::default();
    for end in [Proxy::stop, Proxy::kill] {
        load.times(20, &servers)?;
        load.until_arrived("what was counted", &servers, || behind.connections())?;
        end(&mut behind.proxy)?;
        load.times(50, &servers)?;
        behind.proxy.start()?;
    }
    load.until_arrived("what was counted after the last start", &servers, || behind.connections())?;
    load.times(25, &servers)?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    load.is_all_there("the store", |measurement, field| {
        in_store(&behind.proxy, measurement, field)
    })?;
    for none in ["undertone_streams_refused_total", "undertone_requests_malformed_total"] {
        assert_eq!(behind.proxy.metric(none)?, 0, "{none}");
    }
    assert_eq!(refused_sessions(&behind.proxy)?, 0);
    assert_eq!(behind.proxy.output(&["address"])?.trim(), ingest);
    behind.proxy.stop()?;
    assert!(!behind.socket.exists(), "the socket is removed at the end");
    Ok(())
}

#[test]
fn p7_behind_a_c_tor_a_circuit_has_one_session() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let mut behind = Behind::start(tor)?;
    let proxy = &behind.proxy;
    let ingest: Ingest = proxy.ingest().parse()?;
    let onion = ingest.endpoints[0].onion.as_str();
    let client = tor.network.socks_client(&[])?;
    // (the session, the circuit, what it brings); streams of one circuit share SOCKS credentials.
    for (id, (key, circuit)) in
        [(1, "first"), (1, "first"), (2, "first"), (3, "second"), (1, "first"), (2, "third")]
            .into_iter()
            .enumerate()
    {
        let parcel = sealed(key, id as u8, &ingest.deployment, &[connections()])?;
        let push = request(onion, "POST", "/v1/batch", &parcel);
        let answer = client.exchange(onion, 80, circuit, &push)?;
        assert_eq!(answer.as_deref(), Some(TAKEN), "parcel {id}");
    }
    let expected = [(1, 9), (2, 3), (3, 3)];
    let mut expected: Sums =
        expected.map(|(key, sum)| (session(key).id().to_string(), sum)).into_iter().collect();
    arrives("all but the second session on a circuit", &expected, || behind.connections())?;
    assert_eq!(refused_sessions(proxy)?, 1);

    // What comes to the socket by another way names no circuit, and is no request.
    let parcel = sealed(4, 9, &ingest.deployment, &[connections()])?;
    let mut stream = UnixStream::connect(&behind.socket)?;
    stream.write_all(&request(onion, "POST", "/v1/batch", &parcel))?;
    let mut answer = Vec::new();
    // Closed before all was read from it, hence perhaps reset.
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert_eq!(proxy.metric("undertone_streams_refused_total")?, 1);
    // Of the six, one was refused as a whole.
    assert_eq!(proxy.metric("undertone_parcels_admitted_total")?, 5);
    let refused = "undertone_parcels_refused_total{reason=\"second_session_on_circuit\"}";
    assert_eq!(proxy.metric(refused)?, 1);
    assert_eq!(proxy.metric("undertone_requests_malformed_total")?, 0);
    assert!(proxy.local("/health")?.body.contains("HiddenServiceExportCircuitID"));

    // Another tor gives its circuits the same numbers, for other sessions.
    let known = refused_sessions(&behind.proxy)?;
    behind.start_tor_again(tor)?;
    let client = tor.network.socks_client(&[])?;
    for key in 10..30 {
        let parcel = sealed(key, key, &ingest.deployment, &[connections()])?;
        let push = request(onion, "POST", "/v1/batch", &parcel);
        let answer = client.exchange(onion, 80, &format!("circuit {key}"), &push)?;
        assert_eq!(answer.as_deref(), Some(TAKEN), "session {key}");
        expected.insert(session(key).id().to_string(), 3);
    }
    arrives("the sessions of another tor", &expected, || behind.connections())?;
    assert_eq!(refused_sessions(&behind.proxy)?, known);
    behind.proxy.stop()
}

/// Points that were refused since their circuit had another session.
fn refused_sessions(proxy: &Proxy) -> Result<u64> {
    proxy.metric("undertone_points_refused_total{reason=\"second_session_on_circuit\"}")
}

/// A proxy and the tor in front of it, which has published the service.
struct Behind {
    proxy: Proxy,
    socket: PathBuf,
    service: PathBuf,
    tor: Option<TorClient>,
    _folder: Folder,
}

impl Behind {
    fn start(tor: &MixedNetwork) -> Result<Self> {
        let folder = Folder::new("behind")?;
        let (socket, service) = (folder.join("ingest.sock"), folder.join("service"));
        let front = front(tor, &socket, &service)?;
        let hostname_file = service.join("hostname");
        let proxy =
            Proxy::on("")?.behind(&socket, &hostname_file)?.start(&[&FileServer::schema()?])?;
        let onion = fs::read_to_string(&hostname_file)?;
        assert_eq!(proxy.ingest(), onion.trim(), "what agents are given");
        let behind = Self { proxy, socket, service, tor: Some(front), _folder: folder };
        tor.wait_until_published(behind.proxy.ingest())?;
        Ok(behind)
    }

    /// Keys and address stay.
    fn start_tor_again(&mut self, tor: &MixedNetwork) -> Result<()> {
        self.tor = None;
        self.tor = Some(front(tor, &self.socket, &self.service)?);
        tor.wait_until_published(self.proxy.ingest())
    }

    fn connections(&self) -> Result<Sums> {
        in_store(&self.proxy, "fileserver.connections.count", "delta")
    }
}

fn front(tor: &MixedNetwork, socket: &Path, service: &Path) -> Result<TorClient> {
    let lines = [
        format!("HiddenServiceDir {}", service.display()),
        format!("HiddenServicePort 80 unix:{}", socket.display()),
        "HiddenServiceExportCircuitID haproxy".to_owned(),
        "HiddenServiceMaxStreams 4".to_owned(),
        "HiddenServiceMaxStreamsCloseCircuit 1".to_owned(),
    ];
    tor.network.socks_client(&lines.each_ref().map(|line| &**line))
}
