//! A load on file servers that counts for itself: what it saw is what their telemetry must say.
//!
//! Until Ctrl-C or SIGTERM, each server is asked for files of changing sizes, and now and then for one
//! that doesn't exist. A line a second says, for each server, answers, files not found, and bytes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Asks file servers for files and counts what comes.
#[derive(Parser)]
struct Arguments {
    /// The file servers
    #[arg(required = true)]
    servers: Vec<SocketAddr>,
}

/// What came from one server.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    not_found: AtomicU64,
    bytes: AtomicU64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let ending = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;
    let mut loads = Vec::new();
    let mut seen = Vec::new();
    for (index, server) in arguments.servers.into_iter().enumerate() {
        let counted = Arc::new(Seen::default());
        seen.push(Arc::clone(&counted));
        let ending = Arc::clone(&ending);
        loads.push(thread::spawn(move || load(server, index as u64, &counted, &ending)));
    }
    while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        print(&seen, "so far")?;
    }
    ending.store(true, Relaxed);
    for load in loads {
        load.join().map_err(|_| anyhow::anyhow!("a load panicked"))??;
    }
    print(&seen, "total")
}

/// Asks one server until the end, at a pace of its own.
fn load(server: SocketAddr, index: u64, seen: &Seen, ending: &AtomicBool) -> Result<()> {
    let pause = Duration::from_millis(25 + 15 * index);
    let mut request = 0_u64;
    while !ending.load(Relaxed) {
        request += 1;
        let missing = request.is_multiple_of(20);
        let size = request * 7_919 % 50_000;
        let path = if missing { "missing".to_owned() } else { size.to_string() };
        let bytes = fetch(server, &path).with_context(|| format!("GET /{path} from {server}"))?;
        ensure!(missing || bytes == size, "GET /{path} from {server} gave {bytes} bytes");
        seen.answers.fetch_add(1, Relaxed);
        seen.not_found.fetch_add(u64::from(missing), Relaxed);
        seen.bytes.fetch_add(bytes, Relaxed);
        thread::sleep(pause);
    }
    Ok(())
}

fn fetch(server: SocketAddr, path: &str) -> Result<u64> {
    let mut stream = TcpStream::connect(server)?;
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no head")? + 4;
    Ok((answer.len() - head) as u64)
}

/// `WHEN answers,not_found,bytes …`, in the order of the servers.
fn print(seen: &[Arc<Seen>], when: &str) -> Result<()> {
    let mut line = format!("{when}:");
    for seen in seen {
        let [answers, not_found, bytes] =
            [&seen.answers, &seen.not_found, &seen.bytes].map(|count| count.load(Relaxed));
        line += &format!(" {answers},{not_found},{bytes}");
    }
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
