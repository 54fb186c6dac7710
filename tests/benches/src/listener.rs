//! The agent's local listener, on one thread, beside servers that speak the same write API.
//!
//! One client with one connection sends bodies of 5,000 lines, each after the answer to the one before; ours
//! hands over the points and they are dropped. Said are lines a second of the clock, and of the time that
//! the server's threads had on a processor, which doesn't depend on what else runs.

use std::cell::RefCell;
use std::fs;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use tokio::sync::oneshot;
use undertone_collectors::listener::{Listener, ListenerConfig, Token};

use crate::measure::{Comparison, Contender};
use crate::{http, lines};

/// What Telegraf was told as well.
const TOKEN: &str = "token-of-the-benchmarks";
/// Of a body; Telegraf's buffer holds as many.
const LINES: usize = 5_000;
/// Of a sample.
const BODIES: usize = 20;

/// Who is measured beside ours.
#[derive(Args)]
pub(crate) struct Peers {
    /// The port of Telegraf's influxdb_listener
    #[arg(long)]
    version_1: Option<u16>,
    /// The port of Telegraf's influxdb_v2_listener
    #[arg(long)]
    version_2: Option<u16>,
    /// The process that has both
    #[arg(long)]
    process: Option<u32>,
}

pub(crate) fn measure(peers: &Peers) -> Result<()> {
    let text = lines::text(LINES);
    let own = Own::start()?;
    for (number, path, peer) in [
        (1, "/write?db=bench", peers.version_1),
        (2, "/api/v2/write?org=bench&bucket=bench", peers.version_2),
    ] {
        let ours = RefCell::new(Client::connect(own.address, path, &text)?);
        let peer =
            peer.map(|port| Client::connect((Ipv4Addr::LOCALHOST, port).into(), path, &text));
        let peer = peer.transpose()?.map(RefCell::new);
        let compare = |clock: &str,
                       own_time: &dyn Fn() -> Result<Duration>,
                       their_time: &dyn Fn() -> Result<Duration>| {
            let mut contenders =
                vec![Contender::new("undertone", || ours.borrow_mut().rate(own_time))];
            if let Some(peer) = &peer {
                contenders.push(Contender::new("Telegraf", || peer.borrow_mut().rate(their_time)));
            }
            let what = format!("write, version {number} of the API, {clock}");
            let comparison =
                Comparison { part: "listener", what, unit: "M lines/s", less_is_better: false };
            comparison.between(contenders)
        };
        let began = Instant::now();
        let elapsed = || Ok(began.elapsed());
        compare("by the clock", &elapsed, &elapsed)?;
        let thread = own.number;
        let own_threads = || processor_time(&format!("/proc/self/task/{thread}"));
        let their_threads = || {
            let process = peers.process.context("--process is missing")?;
            let mut sum = Duration::ZERO;
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                sum += processor_time(thread?.path().to_str().context("a path in UTF-8")?)?;
            }
            Ok(sum)
        };
        compare("of processor time", &own_threads, &their_threads)?;
    }
    let received = own.stop()?;
    ensure!(received > 0 && received.is_multiple_of(LINES as u64), "lines were lost");
    Ok(())
}

struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, path: &str, body: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Token {TOKEN}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answers = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, answers, request: request.into_bytes() })
    }

    /// Millions of lines a second of this clock.
    fn rate(&mut self, clock: &dyn Fn() -> Result<Duration>) -> Result<f64> {
        let start = clock()?;
        for _ in 0..BODIES {
            self.stream.write_all(&self.request)?;
            let status = http::status(&mut self.answers)?;
            ensure!(status == 204, "the answer is {status}");
        }
        Ok((LINES * BODIES) as f64 / (clock()? - start).as_secs_f64() / 1e6)
    }
}

/// How long a thread was on a processor; `folder` is its own in `/proc`.
fn processor_time(folder: &str) -> Result<Duration> {
    let text = fs::read_to_string(format!("{folder}/schedstat"))?;
    let nanoseconds = text.split_whitespace().next().context("an empty schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Our listener, on a thread with a runtime of its own.
struct Own {
    address: SocketAddr,
    /// The number that the kernel has for its thread.
    number: u32,
    stop: oneshot::Sender<()>,
    received: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Own {
    fn start() -> Result<Self> {
        let (bound, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let thread = thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = Listener::bind(ListenerConfig {
                    tcp: Some((Ipv4Addr::LOCALHOST, 0).into()),
                    token: Some(Token::new(TOKEN).map_err(|error| anyhow!("{error}"))?),
                    ..ListenerConfig::default()
                })
                .map_err(|error| anyhow!("{error}"))?;
                let this = fs::read_link("/proc/thread-self")?;
                let number = this.file_name().and_then(|name| name.to_str()?.parse().ok());
                bound.send((listener.address(), number))?;
                let accept = move |points: Vec<_>| {
                    count.fetch_add(points.len() as u64, Ordering::Relaxed);
                    Ok(())
                };
                listener.serve(accept, async { drop(stopped.await) }).await;
                Ok(())
            })
        });
        let (address, number) = address.recv()?;
        let address = address.context("the listener has no address")?;
        let number = number.context("its thread has no number")?;
        Ok(Self { address, number, stop, received, thread })
    }

    /// Returns how many points were handed over.
    fn stop(self) -> Result<u64> {
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| anyhow!("the listener panicked"))??;
        Ok(self.received.load(Ordering::Relaxed))
    }
}
