//! Parcels brought to a unix socket as a C tor would, each on a stream of a numbered circuit.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use undertone_wire::{
    Point,
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Age, Parcel, ParcelId},
    request::{BODY_LENGTH, PATH},
    session::SessionKey,
};

/// Where parcels are brought to.
#[derive(Debug)]
pub(super) struct Pushes {
    socket: PathBuf,
    onion: &'static str,
    deployment: DeploymentId,
    circuits: AtomicU32,
    parcels: AtomicU64,
}

impl Pushes {
    pub(super) fn new(socket: &Path, onion: &'static str, deployment: DeploymentId) -> Self {
        let (circuits, parcels) = (AtomicU32::new(1), AtomicU64::new(0));
        Self { socket: socket.to_owned(), onion, deployment, circuits, parcels }
    }

    /// A circuit that there was not yet.
    pub(super) fn circuit(&self) -> u32 {
        self.circuits.fetch_add(1, Relaxed)
    }

    /// A parcel with one point, of an ID of its own.
    pub(super) fn seal(&self, session: &SessionKey) -> Result<Parcel> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.parcels.fetch_add(1, Relaxed).to_be_bytes());
        let point = Point::new("app.hits.count").field("count", 1_i64).field("delta", 1_i64).at(0);
        let payload = Payload::encode(&[point])?;
        Ok(Parcel::seal(session, ParcelId(id), &self.deployment, &payload))
    }

    /// Brings it; the status, or none if the stream ended without.
    pub(super) async fn push(&self, circuit: u32, parcel: &Parcel) -> Option<u16> {
        let head = format!(
            "PROXY TCP6 fc00:dead:beef:4dad::{:x}:{:x} ::1 {} 80\r\n\
             POST {PATH} HTTP/1.1\r\nhost: {}\r\ncontent-length: {BODY_LENGTH}\r\n\r\n",
            circuit >> 16,
            circuit & 0xffff,
            circuit & 0xffff,
            self.onion
        );
        let mut stream = UnixStream::connect(&self.socket).await.ok()?;
        let request = [head.as_bytes(), &parcel.body(Age::default())].concat();
        stream.write_all(&request).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        std::str::from_utf8(&answer).ok()?.split(' ').nth(1)?.parse().ok()
    }
}
