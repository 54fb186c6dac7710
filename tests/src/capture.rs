//! A SOCKS5 server that connects to nothing and records each stream exactly as it was received.
//!
//! It stands for nothing of Tor: it is the tap on which tests see whether requests are equal byte for
//! byte, come in one write, and which SOCKS credentials isolate them. Whole HTTP requests are answered
//! with bytes that can be set; instead it can refuse, hang or close.

mod request;
pub(crate) mod socks;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::wait;

/// What a whole request is answered with unless something else is set.
pub const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// How the server behaves. Asked anew for each stream and each request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Answers each whole HTTP request with these bytes.
    Answer(Vec<u8>),
    /// Takes requests and never answers.
    Silent,
    /// Takes one whole request and closes without an answer.
    CloseUnanswered,
    /// Accepts the SOCKS request and closes at once.
    CloseAtOnce,
    /// Refuses the SOCKS request with this reply code (RFC 1928, section 6; 4 is "host unreachable").
    Refuse(u8),
    /// Takes the SOCKS request and never replies to it.
    Hang,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Answer(NO_CONTENT.to_vec())
    }
}

/// What came on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stream {
    /// When the SOCKS request was there.
    pub opened: Instant,
    /// Username and password (RFC 1929), if there were any.
    pub credentials: Option<(Vec<u8>, Vec<u8>)>,
    /// The host as it was asked for, mostly an onion address.
    pub host: String,
    /// The port that was asked for.
    pub port: u16,
    /// All bytes after the SOCKS part, exactly as received.
    pub bytes: Vec<u8>,
    /// In how many reads they came. One write of less than 64 KiB on loopback is one read.
    pub reads: usize,
    /// Where each whole HTTP request ends in `bytes`.
    pub request_ends: Vec<usize>,
    /// Whether the client has closed it (not whether the server has).
    pub closed_by_client: bool,
}

impl Stream {
    /// The whole HTTP requests, one after the other.
    pub fn requests(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(&0).chain(&self.request_ends);
        starts.zip(&self.request_ends).map(|(&start, &end)| &self.bytes[start..end]).collect()
    }
}

/// The running server. Dropping it closes all its streams and its port.
#[derive(Debug)]
pub struct SocksCapture {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    behaviour: Mutex<Behaviour>,
    /// All connections, also those whose SOCKS part isn't complete.
    connections: Mutex<Vec<TcpStream>>,
    streams: Mutex<Vec<Stream>>,
}

impl SocksCapture {
    /// Starts it on a free loopback port; it answers `204` without a body.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how it behaves from the next stream or request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Answers with these bytes from the next request on.
    pub fn answer(&self, response: &[u8]) {
        self.behave(Behaviour::Answer(response.to_vec()));
    }

    /// How many TCP connections there were, SOCKS or not.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// All streams so far, in the order in which they were asked for; refused ones included.
    pub fn streams(&self) -> Vec<Stream> {
        lock(&self.shared.streams).clone()
    }

    /// All whole requests so far, stream by stream.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let streams = self.streams();
        streams.iter().flat_map(Stream::requests).map(<[u8]>::to_vec).collect()
    }

    /// Waits until there are so many whole requests, and returns the streams.
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> Result<Vec<Stream>> {
        wait::until(&format!("{count} requests"), timeout, || {
            let streams = self.streams();
            let requests: usize = streams.iter().map(|stream| stream.request_ends.len()).sum();
            Ok((requests >= count).then_some(streams))
        })
    }

    /// Waits until so many streams were asked for, and returns them.
    pub fn wait_for_streams(&self, count: usize, timeout: Duration) -> Result<Vec<Stream>> {
        wait::until(&format!("{count} streams"), timeout, || {
            let streams = self.streams();
            Ok((streams.len() >= count).then_some(streams))
        })
    }
}

impl Drop for SocksCapture {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for connection in lock(&self.shared.connections).iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(copy) = stream.try_clone() else { continue };
        lock(&shared.connections).push(copy);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An error is the client's: it went away or spoke no SOCKS. What came is recorded.
            let _ = serve(&stream, &shared);
            // The copy for Drop is still open.
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let asked = socks::negotiate(&mut stream)?;
    let index = {
        let mut streams = lock(&shared.streams);
        streams.push(Stream {
            opened: Instant::now(),
            credentials: asked.credentials,
            host: asked.host,
            port: asked.port,
            bytes: Vec::new(),
            reads: 0,
            request_ends: Vec::new(),
            closed_by_client: false,
        });
        streams.len() - 1
    };
    let behaviour = lock(&shared.behaviour).clone();
    match behaviour {
        Behaviour::Refuse(code) => return socks::reply(&mut stream, code),
        Behaviour::CloseAtOnce => return socks::reply(&mut stream, socks::SUCCEEDED),
        Behaviour::Hang => {}
        _ => socks::reply(&mut stream, socks::SUCCEEDED)?,
    }

    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => {
                lock(&shared.streams)[index].closed_by_client = true;
                return Ok(());
            }
            Ok(count) => count,
        };
        let whole = record(&mut lock(&shared.streams)[index], &buffer[..count]);
        for _ in 0..whole {
            let behaviour = lock(&shared.behaviour).clone();
            match behaviour {
                Behaviour::Answer(response) => stream.write_all(&response)?,
                Behaviour::Silent | Behaviour::Hang => {}
                _ => return Ok(()),
            }
        }
    }
}

/// Returns how many requests became whole.
fn record(stream: &mut Stream, bytes: &[u8]) -> usize {
    stream.bytes.extend_from_slice(bytes);
    stream.reads += 1;
    let before = stream.request_ends.len();
    let mut start = stream.request_ends.last().copied().unwrap_or(0);
    while let Some(length) = request::length(&stream.bytes[start..]) {
        start += length;
        stream.request_ends.push(start);
    }
    stream.request_ends.len() - before
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
