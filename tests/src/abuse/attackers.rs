//! Streams to a proxy's unix socket as a C tor would bring them, with whatever bytes.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

/// Nobody is kept for longer than a request may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where streams go, and the number of the next circuit.
#[derive(Debug)]
pub(crate) struct Attackers {
    socket: PathBuf,
    circuits: AtomicU32,
}

impl Attackers {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), circuits: AtomicU32::new(1) }
    }

    /// A circuit that there was not yet.
    pub(crate) fn circuit(&self) -> u32 {
        self.circuits.fetch_add(1, Relaxed)
    }

    /// A stream that has said which circuit it is on.
    pub(crate) async fn stream(&self, circuit: u32) -> Option<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).await.ok()?;
        let (high, low) = (circuit >> 16, circuit & 0xffff);
        let line = format!("PROXY TCP6 fc00:dead:beef:4dad::{high:x}:{low:x} ::1 {low} 80\r\n");
        stream.write_all(line.as_bytes()).await.ok()?;
        Some(stream)
    }

    /// Says all of it and reads to the end; none if there was no stream.
    pub(crate) async fn say(&self, circuit: u32, bytes: &[u8]) -> Option<Vec<u8>> {
        let stream = self.stream(circuit).await?;
        Some(exchange(stream, bytes).await)
    }
}

/// Says the rest and reads to the end. The proxy may have answered before it was all said.
pub(crate) async fn exchange(mut stream: UnixStream, bytes: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let talk = async {
        let say = async {
            // What waits for more, gets no end but the proxy's own.
            let _ = writing.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = say => {}
            _ = reading.read_to_end(&mut answer) => {}
        }
    };
    let _ = timeout(PATIENCE, talk).await;
    answer
}
