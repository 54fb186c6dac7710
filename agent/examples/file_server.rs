//! The file server of the article that Undertone's predecessor was presented with: it accepts
//! connections, streams data, and counts what it does.
//!
//! `GET /4096` answers with 4,096 bytes. It is an ordinary program with threads and without an async
//! runtime; telemetry is the few lines that name `metrics`.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use undertone::{Agent, Consent, Ingest, Profile, Rhythm, Schema, Transport};

undertone::label! {
    /// How a request ended.
    pub enum Outcome in "outcome" {
        /// The file was sent.
        Ok = "ok",
        /// There is no such file.
        NotFound = "not_found",
    }
}

undertone::instruments! {
    pub struct Metrics in "fileserver" {
        /// Connections accepted.
        connections: Counter,
        /// Files being sent now.
        open: Gauge<i64> { buckets: [0, 1, 2, 5, 10, 50] },
        /// Bytes sent.
        egress: Meter,
        /// Sizes of the files that were sent.
        size: Histogram { unit: "B" },
        /// Time to answer, by outcome.
        latency: Timer<Outcome>,
    }
}

/// Streams data and reports, through Tor, how much.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What `undertone-ingest-proxy address` prints
    #[arg(long)]
    #[arg(required_unless_present = "schema")]
    ingest: Option<Ingest>,
    /// Where Tor keeps its state
    #[arg(long, default_value = "file-server-data")]
    data_dir: PathBuf,
    /// Consent is given when this file says `granted`
    #[arg(long, default_value = "telemetry-consent")]
    consent: PathBuf,
    /// Another Tor network than the public one: arti's configuration
    #[arg(long)]
    tor_config: Option<PathBuf>,
    /// Seconds between two reports, on average; short ones are for machines of one's own
    #[arg(long, default_value_t = 2.0)]
    rhythm: f64,
    /// Print the schema for the ingest proxy and exit
    #[arg(long)]
    schema: bool,
}

/// How often the instruments are read.
const INTERVAL: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // It reports to its owner, hence in the profile `fleet` and with all digits.
    let schema = Schema::try_from(Metrics::DECLARATION)?.every(INTERVAL)?.exact();
    if arguments.schema {
        print!("{}", schema.to_toml());
        return Ok(());
    }

    let tor = match &arguments.tor_config {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => String::new(),
    };
    let rhythm = Duration::try_from_secs_f64(arguments.rhythm).context("--rhythm")?;
    let ingest = arguments.ingest.context("--ingest says where to report")?;
    let agent = Agent::builder(ingest)
        .schema(schema)
        .profile(Profile::Fleet(Rhythm::every(rhythm)))
        .consent(Consent::file(arguments.consent))
        .transport(Transport::embedded_with(tor))
        .data_dir(arguments.data_dir)
        .start()?;
    let metrics: Metrics = agent.instruments()?;

    let listener = TcpListener::bind(arguments.listen)
        .with_context(|| format!("listen on {}", arguments.listen))?;
    println!("listening on {}", listener.local_addr()?);
    match agent.session() {
        Some(session) => println!("reporting as session {session}"),
        None => println!("not reporting: {:?}", agent.state()),
    }
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let metrics = metrics.clone();
            thread::spawn(move || serve(stream, &metrics));
        }
    });

    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;
    stopped.recv()?;
    agent.shutdown(Duration::from_secs(10)).wait();
    Ok(())
}

fn serve(mut stream: TcpStream, metrics: &Metrics) {
    metrics.connections.inc();
    metrics.open.inc();
    let mut timer = metrics.latency.start(Outcome::NotFound);
    if let Some(size) = requested(&stream) {
        if send(&mut stream, size, metrics).is_ok() {
            timer.set_label(Outcome::Ok);
            metrics.size.update(size as i64);
        }
    } else {
        let _ = stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n");
    }
    drop(timer);
    metrics.open.dec();
}

/// The size in `GET /SIZE HTTP/1.0`.
fn requested(stream: &TcpStream) -> Option<usize> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.strip_prefix('/')?.parse().ok()
}

fn send(stream: &mut TcpStream, size: usize, metrics: &Metrics) -> std::io::Result<()> {
    const CHUNK: [u8; 4096] = [b'u'; 4096];
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
    let mut left = size;
    while left > 0 {
        let now = left.min(CHUNK.len());
        stream.write_all(&CHUNK[..now])?;
        metrics.egress.mark_by(now as i64);
        left -= now;
    }
    Ok(())
}
