//! Parcels admitted a second: through a proxy's socket, with its HTTP, its checks and its durable queue.
//!
//! As many clients at once as [`CLIENTS`], each a session on a circuit of its own, with one request at a
//! time and one connection a request, as agents make them. The peers get the same: a bare SQLite
//! table the same bodies, InfluxDB 2 the same points, over connections that stay open.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use undertone_wire::batch::Payload;
use undertone_wire::endpoint::Ingest;
use undertone_wire::parcel::{Age, Parcel, ParcelId};
use undertone_wire::request::{BODY_LENGTH, PATH};
use undertone_wire::session::SessionKey;
use undertone_wire::{Point, line_protocol};

use crate::commits::{Table, insert};
use crate::measure::{Comparison, Contender};
use crate::{batch, http};

const CLIENTS: usize = 64;
/// Of each client in a sample.
const PARCELS: usize = 16;

/// Who is measured.
#[derive(Args)]
pub(crate) struct Servers {
    /// The proxy's unix socket
    #[arg(long)]
    socket: PathBuf,
    /// What the proxy's `address` prints
    #[arg(long)]
    ingest: Ingest,
    /// An empty folder, on the disk of the proxy's
    #[arg(long)]
    folder: PathBuf,
    /// The port of InfluxDB 2
    #[arg(long)]
    influxdb_port: u16,
    /// Organisation, bucket and token, separated by blanks
    #[arg(long)]
    influxdb: String,
}

pub(crate) fn measure(servers: &Servers) -> Result<()> {
    let points = batch::points();
    let payload = Payload::encode(&points)?;
    let table = Table::open(&servers.folder.join("bodies.sqlite3"))?;
    let proxy = Proxy::new(servers, payload);
    let influxdb = InfluxDb::new(servers, points)?;
    let comparison = Comparison {
        part: "admission",
        what: format!("a parcel of 24 points, {CLIENTS} clients"),
        unit: "parcels/s",
        less_is_better: false,
    };
    let bodies = || -> Result<()> {
        let handle = table.handle()?;
        (0..PARCELS).try_for_each(|_| insert(&handle, vec![1; BODY_LENGTH]))
    };
    comparison.between(vec![
        Contender::new("undertone", || {
            // Sealed before the clock starts: that is the agents' work.
            let sealed: Vec<_> = (0..CLIENTS).map(|client| proxy.seal(client)).collect();
            rate(|client| proxy.push(client, &sealed[client]))
        }),
        Contender::new("SQLite, group commit of the same bytes", || rate(|_| bodies())),
        Contender::new("InfluxDB 2, /api/v2/write of the same points", || {
            rate(|_| influxdb.write())
        }),
    ])?;
    table.close()
}

/// Parcels a second, where each client does `work` on a thread of its own.
fn rate(work: impl Fn(usize) -> Result<()> + Sync) -> Result<f64> {
    let start = Instant::now();
    thread::scope(|scope| {
        let work = &work;
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || work(client))).collect();
        let mut joined = clients.into_iter().map(|client| client.join());
        joined.try_for_each(|done| done.map_err(|_| anyhow!("a client panicked"))?)
    })?;
    Ok((CLIENTS * PARCELS) as f64 / start.elapsed().as_secs_f64())
}

struct Proxy<'a> {
    socket: &'a Path,
    ingest: &'a Ingest,
    payload: Payload,
    sealed: AtomicU64,
}

impl<'a> Proxy<'a> {
    fn new(servers: &'a Servers, payload: Payload) -> Self {
        // Not the IDs of another run against the same proxy.
        let sealed = AtomicU64::new(nanoseconds() as u64);
        Self { socket: &servers.socket, ingest: &servers.ingest, payload, sealed }
    }

    fn seal(&self, client: usize) -> Vec<[u8; BODY_LENGTH]> {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&client.to_le_bytes());
        let session = SessionKey::from_seed(&seed);
        let parcel = |_| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.sealed.fetch_add(1, Ordering::Relaxed).to_le_bytes());
            let deployment = &self.ingest.deployment;
            Parcel::seal(&session, ParcelId(id), deployment, &self.payload).body(Age::default())
        };
        (0..PARCELS).map(parcel).collect()
    }

    fn push(&self, client: usize, bodies: &[[u8; BODY_LENGTH]]) -> Result<()> {
        let onion = &self.ingest.endpoints.first().context("no onion address")?.onion;
        // What tor writes before a stream: the number of its circuit.
        let circuit = client + 1;
        let head = format!(
            "PROXY TCP6 fc00:dead:beef:4dad::0:{circuit:x} ::1 {circuit} 80\r\n\
             POST {PATH} HTTP/1.1\r\nhost: {}\r\ncontent-length: {BODY_LENGTH}\r\n\r\n",
            onion.as_str()
        );
        for body in bodies {
            let mut stream = UnixStream::connect(self.socket)?;
            stream.write_all(&[head.as_bytes(), body].concat())?;
            let status = http::status(&mut BufReader::new(stream))?;
            ensure!(status == 204, "the proxy answered {status}");
        }
        Ok(())
    }
}

struct InfluxDb {
    port: u16,
    head: String,
    points: Vec<Point>,
    written: AtomicU64,
}

impl InfluxDb {
    fn new(servers: &Servers, points: Vec<Point>) -> Result<Self> {
        let words: Vec<_> = servers.influxdb.split(' ').collect();
        let [org, bucket, token] = words[..] else { anyhow::bail!("not three words") };
        let port = servers.influxdb_port;
        let head = format!(
            "POST /api/v2/write?org={org}&bucket={bucket} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
             authorization: Token {token}\r\n"
        );
        Ok(Self { port, head, points, written: AtomicU64::new(0) })
    }

    /// The points as the proxy would write them: with a session, and a time in nanoseconds.
    fn write(&self) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::new(stream.try_clone()?);
        for _ in 0..PARCELS {
            let number = self.written.fetch_add(1, Ordering::Relaxed);
            let session = format!("b34dc4d5-8c6d-8f61-9d5b-{:012x}", number % CLIENTS as u64);
            let mut text = String::new();
            for point in &self.points {
                let before = point.timestamp.unwrap_or(0) * 60_000_000_000;
                let point = point.clone().tag("session", &session);
                line_protocol::write(&point.at(nanoseconds() - before), &mut text)?;
            }
            let request = format!("{}content-length: {}\r\n\r\n{text}", self.head, text.len());
            stream.write_all(request.as_bytes())?;
            let status = http::status(&mut answers)?;
            ensure!(status == 204, "InfluxDB answered {status}");
        }
        Ok(())
    }
}

/// Since 1970.
fn nanoseconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i64)
}
