//! The link between one agent's Tor and its guard, with everything that passes on it written down.
//!
//! A SOCKS5 server that arti is told to connect by (`channel.outbound_proxy`): it forwards each connection
//! unchanged and notes size, time and direction of every piece. It sees what who watches the agent's network
//! sees: the bytes of TCP streams, not the headers of packets. No privilege is needed for it.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use anyhow::Result;

use crate::capture::socks;

/// What was read at once from one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// When.
    pub at: Instant,
    /// How much of the TCP stream.
    pub bytes: usize,
    /// Whether the agent sent it.
    pub from_agent: bool,
}

/// A link that is watched. Dropping it cuts it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    pieces: Mutex<Vec<Piece>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Starts to listen on a free loopback port.
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

    /// What arti's configuration needs to connect by this link.
    pub fn arti_toml(&self) -> String {
        format!("[channel]\noutbound_proxy = \"socks5://{}\"\n", self.address)
    }

    /// What has passed so far, in its order.
    pub fn pieces(&self) -> Vec<Piece> {
        lock(&self.shared.pieces).clone()
    }

    /// How many bytes passed in both directions from one time to another.
    pub fn bytes(&self, from: Instant, to: Instant) -> usize {
        let pieces = lock(&self.shared.pieces);
        pieces.iter().filter(|piece| (from..to).contains(&piece.at)).map(|piece| piece.bytes).sum()
    }
}

impl Drop for Link {
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
        let shared = Arc::clone(shared);
        // An error is one side's, which went away: the other is told by the end of its stream.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(mut agent: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    let asked = socks::negotiate(&mut agent)?;
    let Ok(relay) = TcpStream::connect((asked.host.as_str(), asked.port)) else {
        return Ok(socks::reply(&mut agent, socks::HOST_UNREACHABLE)?);
    };
    for stream in [&agent, &relay] {
        stream.set_nodelay(true)?;
        lock(&shared.connections).push(stream.try_clone()?);
    }
    socks::reply(&mut agent, socks::SUCCEEDED)?;
    let back = std::thread::spawn({
        let (relay, agent, shared) = (relay.try_clone()?, agent.try_clone()?, Arc::clone(shared));
        move || forward(relay, agent, false, &shared)
    });
    forward(agent, relay, true, shared);
    let _ = back.join();
    Ok(())
}

/// Until one side ends; then both.
fn forward(mut from: TcpStream, mut to: TcpStream, from_agent: bool, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        lock(&shared.pieces).push(Piece { at: Instant::now(), bytes, from_agent });
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_unchanged_and_notes_what_passes() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let link = Link::start().unwrap();
        let begin = Instant::now();
        let mut client = TcpStream::connect(link.address).unwrap();
        client.write_all(&[5, 1, 0]).unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        let [high, low] = port.to_be_bytes();
        client.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]).unwrap();
        client.read_exact(&mut [0; 10]).unwrap();
        let (mut served, _) = server.accept().unwrap();
        client.write_all(b"ping").unwrap();
        let mut read = [0; 4];
        served.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"ping");
        served.write_all(b"answer").unwrap();
        drop(served);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"answer");
        let pieces = link.pieces();
        let seen: Vec<_> = pieces.iter().map(|piece| (piece.bytes, piece.from_agent)).collect();
        assert_eq!(seen, [(4, true), (6, false)]);
        assert_eq!(link.bytes(begin, Instant::now()), 10);
    }
}
