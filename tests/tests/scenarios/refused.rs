//! What the onion service answers to requests that no agent sends, through a C tor.
//!
//! A failure: an answer that differs by a byte from what is expected, an answer by which a
//! refusal by policy could be told from an admission, a refused number in the store, a refusal that
//! isn't counted. Not a failure: in which order the counts come, how long a circuit takes.

use anyhow::{Context, Result};
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorClient, wait,
};
use undertone_wire::{
    Point,
    endpoint::{DeploymentId, Ingest},
};

use crate::fixtures::{
    ARRIVAL, Sums, arrives, in_store,
    mixed::MixedNetwork,
    parcels::{TAKEN, connections, request, sealed, session},
};

/// What is answered to everything else.
const MALFORMED: &str =
    "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// The same to who speaks HTTP/1.0.
const MALFORMED_OLD: &str =
    "HTTP/1.0 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// To a head of more than 16 fields or 8 KiB, which the HTTP library refuses before it is a request.
const TOO_LARGE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[test]
fn p8_every_request_gets_one_of_two_constant_answers() -> Result<()> {
    let (fixture, client) = Fixture::start()?;
    let Fixture { proxy, ingest, .. } = &fixture;
    let onion = ingest.endpoints[0].onion.as_str();
    let post = |body: &[u8]| request(onion, "POST", "/v1/batch", body);

    // (what it is, the circuit, the request, the answer)
    let mut cases: Vec<(&str, &str, Vec<u8>, &str)> = Vec::new();
    let good = fixture.parcel(1, 1, &[connections()])?;
    cases.push(("a parcel", "first", post(&good), TAKEN));
    cases.push(("the same again", "first", post(&good), TAKEN));
    cases.push(("chaff", "first", post(&fixture.parcel(1, 2, &[])?), TAKEN));
    let truncated = &good[..good.len() - 1];
    cases.push(("a truncated parcel", "first", post(truncated), MALFORMED));
    for (what, position) in [
        ("another version", 0),
        ("another key", 2),
        ("another parcel ID", 40),
        ("another length", 51),
        ("an altered signature", 60),
        ("an altered payload", 120),
        ("padding that isn't zero", good.len() - 1),
    ] {
        let mut altered = good.clone();
        altered[position] ^= 1;
        cases.push((what, "first", post(&altered), MALFORMED));
    }
    let mut impersonating = good.clone();
    impersonating[2..34].copy_from_slice(session(2).public().as_bytes());
    cases.push(("a parcel in another's name", "first", post(&impersonating), MALFORMED));
    let elsewhere = DeploymentId::from([7; 32]);
    let misled = sealed(1, 3, &elsewhere, &[connections()])?;
    cases.push(("a parcel for another deployment", "first", post(&misled), MALFORMED));

    let undeclared =
        Point::new("fileserver.secrets.count").field("count", 1_i64).field("delta", 1_i64);
    for (id, what, point) in [
        (4, "an undeclared measurement", undeclared.at(0)),
        (5, "an undeclared tag", connections().tag("host", "mine")),
        (6, "a forged session", connections().tag("session", "somebody-else")),
        (7, "undeclared fields", connections().field("user", 1_i64)),
        (8, "a time before the queue's", connections().at(1_000_000)),
    ] {
        cases.push((what, "first", post(&fixture.parcel(1, id, &[point])?), TAKEN));
    }
    let second = fixture.parcel(2, 9, &[connections()])?;
    cases.push(("a second session on the circuit", "first", post(&second), TAKEN));
    let third = fixture.parcel(3, 10, &[connections()])?;
    cases.push(("another session on its own circuit", "second", post(&third), TAKEN));

    for (what, circuit, request, expected) in &cases {
        let answer = client.exchange(onion, 80, circuit, request).context(*what)?;
        assert_eq!(answer.as_deref(), Some(*expected), "{what}");
    }

    // Nothing of what was refused is in the store, and the operator can see why.
    let (first, third) = (session(1), session(3));
    let expected = Sums::from([(first.id().to_string(), 3), (third.id().to_string(), 3)]);
    arrives("what was admitted", &expected, || {
        in_store(proxy, "fileserver.connections.count", "delta")
    })?;
    let tables = proxy.sqlite3("SELECT DISTINCT measurement, tags FROM point")?;
    assert_eq!(tables, [["fileserver.connections.count", "{}"]]);
    let malformed = cases.iter().filter(|case| case.3 == MALFORMED).count() as u64;
    for (metric, expected) in [
        // All nine that got a 204 for the first time, one of them refused as a whole, with what was left of them.
        ("parcels_admitted_total", 8),
        ("parcels_refused_total{reason=\"second_session_on_circuit\"}", 1),
        ("points_admitted_total", 2),
        ("parcels_replayed_total", 1),
        ("requests_malformed_total", malformed),
        ("requests_undecided_total", 0),
        ("points_refused_total{reason=\"measurement\"}", 1),
        ("points_refused_total{reason=\"tag\"}", 2),
        ("points_refused_total{reason=\"fields\"}", 1),
        ("points_refused_total{reason=\"time\"}", 1),
        ("points_refused_total{reason=\"second_session_on_circuit\"}", 1),
    ] {
        assert_eq!(proxy.metric(&format!("undertone_{metric}"))?, expected, "{metric}");
    }
    Ok(())
}

#[test]
fn s1_there_is_one_route_and_no_way_to_the_database() -> Result<()> {
    let (fixture, client) = Fixture::start()?;
    let onion = fixture.ingest.endpoints[0].onion.as_str();
    let good = fixture.parcel(1, 1, &[connections()])?;
    let line = b"fileserver.connections.count count=1i,delta=1i";
    for (method, path, body) in [
        ("GET", "/", &b""[..]),
        ("GET", "/health", b""),
        ("GET", "/metrics", b""),
        ("GET", "/ping", b""),
        ("GET", "/query?q=SHOW+DATABASES", b""),
        ("POST", "/query", b"q=SHOW+DATABASES"),
        ("POST", "/write?db=telegraf", line),
        ("POST", "/api/v2/write?org=undertone&bucket=telemetry", line),
        ("POST", "/api/v2/query?org=undertone", b"buckets()"),
        ("GET", "/v1/batch", b""),
        ("PUT", "/v1/batch", &good),
        ("POST", "/v1/batch/", &good),
        ("POST", "/v1/batch?", &good),
        ("POST", "//v1/batch", &good),
        ("POST", "http://127.0.0.1/v1/batch", &good),
        ("OPTIONS", "*", b""),
        ("DELETE", "/api/v2/buckets", b""),
    ] {
        let request = request(onion, method, path, body);
        let answer = client.exchange(onion, 80, "routes", &request);
        let answer = answer.with_context(|| format!("{method} {path}"))?;
        assert_eq!(answer.as_deref(), Some(MALFORMED), "{method} {path}");
    }
    let (batch, length) = ("POST /v1/batch HTTP/1.1\r\n", "content-length: 3785\r\n");
    for (what, bytes, expected) in [
        ("another protocol", "EHLO somebody\r\n\r\n".to_owned(), MALFORMED),
        ("TLS", "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\u{3}\r\n\r\n".to_owned(), MALFORMED),
        ("a future HTTP", "GET / HTTP/9.9\r\n\r\n".to_owned(), MALFORMED),
        ("a long path", format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(7_000)), MALFORMED),
        ("a bad length", format!("{batch}content-length: -1\r\n\r\n"), MALFORMED),
        ("chunks", format!("{batch}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"), MALFORMED),
        ("a HEAD", "HEAD / HTTP/1.1\r\n\r\n".to_owned(), MALFORMED),
        ("an expectation", format!("{batch}{length}expect: 100-continue\r\n\r\n"), MALFORMED),
        // What the HTTP library says by itself: other constants, of no content either.
        ("an old HTTP", "GET / HTTP/1.0\r\n\r\n".to_owned(), MALFORMED_OLD),
        ("a new HTTP", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("many headers", format!("{batch}{}\r\n", "a: b\r\n".repeat(100)), TOO_LARGE),
        ("a long header", format!("{batch}a: {}\r\n\r\n", "b".repeat(9_000)), TOO_LARGE),
    ] {
        let answer = client.exchange(onion, 80, "routes", bytes.as_bytes()).context(what)?;
        assert_eq!(answer.as_deref(), Some(expected), "{what}");
    }

    // Whatever the database does, nothing of it shows; and no other port is answered.
    let taken = request(onion, "POST", "/v1/batch", &good);
    assert_eq!(client.exchange(onion, 80, "routes", &taken)?.as_deref(), Some(TAKEN));
    for port in [81, 443, 8086, 9790] {
        let answer = client.exchange(onion, port, "scan", &taken)?;
        assert_eq!(answer, None, "port {port}");
    }
    let expected = Sums::from([(session(1).id().to_string(), 3)]);
    arrives("what was admitted", &expected, || {
        in_store(&fixture.proxy, "fileserver.connections.count", "delta")
    })
}

/// A proxy whose service is published and whose database doesn't answer.
struct Fixture {
    proxy: Proxy,
    ingest: Ingest,
    _database: Influxd,
}

impl Fixture {
    fn start() -> Result<(Self, TorClient)> {
        let tor = MixedNetwork::shared()?;
        let mut database = Influxd::start()?;
        let proxy =
            Proxy::on(&tor.arti_toml)?.influxdb2(&database)?.start(&[&FileServer::schema()?])?;
        database.stop()?;
        let ingest: Ingest = proxy.ingest().parse()?;
        let client = tor.network.socks_client(&[])?;
        wait::until("the service to be published", ARRIVAL, || {
            let onion = ingest.endpoints[0].onion.as_str();
            Ok(client.reaches(onion, 80, "probe")?.then_some(()))
        })?;
        Ok((Self { proxy, ingest, _database: database }, client))
    }

    fn parcel(&self, key: u8, id: u8, points: &[Point]) -> Result<Vec<u8>> {
        sealed(key, id, &self.ingest.deployment, points)
    }
}
