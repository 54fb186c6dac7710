//! A unix socket behind a tor that runs already and names each stream's circuit.
//!
//! In torrc: `HiddenServicePort 80 unix:PATH` and `HiddenServiceExportCircuitID haproxy`. A stream that
//! doesn't begin with tor's line is closed, and is no request. What a tor decides stays with it: its
//! circuits can't be ended from here, only forgotten.

mod circuits;
mod header;

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind as Io},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::BufReader,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, timeout},
};
use undertone_wire::endpoint::OnionAddress;

use self::{
    circuits::{CircuitName, Circuits},
    header::NoCircuit,
};
use super::{Answer, Circuit, GRACE, Progress};
use crate::{
    accept,
    config::{Limits, UnixFront, count},
    error::{Error, ErrorKind},
    writer::stopped,
};

/// Tor writes its line at once.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks for circuits that are to be forgotten.
const SWEEP: Duration = Duration::from_secs(30);
/// Bytes that are read ahead of a stream.
const BUFFER: usize = 4_096;

/// A socket that is bound.
pub(crate) struct Socket {
    listener: UnixListener,
    onion: OnionAddress,
    file: SocketFile,
    limits: Arc<Limits>,
}

impl Socket {
    /// Makes the socket; one that nobody answers is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Socket`] if it can't be made, or something else is in its place.
    pub(super) async fn bind(config: &UnixFront, limits: &Limits) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            let path = config.path.display();
            Error::new(ErrorKind::Socket, format!("listen on the socket {path}")).because(error)
        };
        remove_stale(&config.path).await.map_err(failed)?;
        let listener = UnixListener::bind(&config.path).map_err(failed)?;
        let file = SocketFile::of(config.path.clone()).map_err(failed)?;
        fs::set_permissions(&file.path, Permissions::from_mode(config.mode)).map_err(failed)?;
        let limits = Arc::new(limits.clone());
        Ok(Self { listener, onion: config.onion.clone(), file, limits })
    }

    pub(super) fn address(&self) -> &OnionAddress {
        &self.onion
    }

    /// Answers streams until `stop` says so, then removes the socket.
    pub(super) async fn serve(
        self,
        answer: impl Answer,
        progress: watch::Sender<Progress>,
        mut stop: watch::Receiver<bool>,
    ) {
        let Self { listener, file, limits, .. } = self;
        let streams_limit = count(limits.streams);
        let circuits = Shared(Arc::new(Mutex::new(Circuits::new(limits))));
        let progress = Arc::new(progress);
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = streams.join_next() => {}
                _ = sweep.tick() => circuits.lock().forget_idle(Instant::now()),
                accepted = listener.accept(), if streams.len() < streams_limit => {
                    let Some(stream) = accept::or_pause(accepted).await else { continue };
                    let (circuits, progress) = (circuits.clone(), Arc::clone(&progress));
                    streams.spawn(serve_stream(stream, answer.clone(), circuits, progress));
                }
            }
        }
        // In this order: whoever finds the file is answered.
        drop(file);
        drop(listener);
        let _ = timeout(GRACE, async { while streams.join_next().await.is_some() {} }).await;
        streams.shutdown().await;
    }
}

/// Reads the line that names the circuit, and has the rest answered.
async fn serve_stream(
    stream: UnixStream,
    answer: impl Answer,
    circuits: Shared,
    progress: Arc<watch::Sender<Progress>>,
) {
    // Of a process that can't be seen from here, Linux says 0.
    let process = stream.peer_cred().ok().and_then(|peer| peer.pid()).filter(|pid| *pid != 0);
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    let number = match timeout(HEADER_LIMIT, header::read(&mut stream)).await {
        Ok(Ok(number)) => number,
        Ok(Err(NoCircuit::Nothing)) => return,
        Ok(Err(NoCircuit::Malformed)) | Err(_) => return count_refused(&progress),
    };
    progress.send_if_modified(|progress| !std::mem::replace(&mut progress.published, true));
    // A circuit with too many streams is one that no agent has.
    let Some(open) = circuits.open(CircuitName { process, number }) else { return };
    answer.answer(stream, Arc::clone(&open.circuit)).await;
}

fn count_refused(progress: &watch::Sender<Progress>) {
    let mut first = false;
    progress.send_modify(|progress| {
        first = progress.streams_refused == 0;
        progress.streams_refused += 1;
    });
    if first {
        tracing::warn!(
            "a stream named no circuit and was closed, as all such are; torrc needs \
             `HiddenServiceExportCircuitID haproxy` below this service's `HiddenServiceDir`"
        );
    }
}

/// The circuits of all streams.
#[derive(Clone)]
struct Shared(Arc<Mutex<Circuits>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Circuits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, name: CircuitName) -> Option<OpenStream> {
        let circuit = self.lock().open(name, Instant::now())?;
        Some(OpenStream { circuit, name, circuits: self.clone() })
    }
}

/// A place on a circuit, given back however its stream ends.
struct OpenStream {
    circuit: Arc<Circuit>,
    name: CircuitName,
    circuits: Shared,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.circuits.lock().close(self.name, Instant::now());
    }
}

/// The file of a socket that we made; gone with this value.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        Ok(Self { identity: identity(&path)?, path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Not one that somebody else has put into its place.
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes a socket that was left by a proxy that was killed, and nothing else.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(Io::AddrInUse, "another program answers on it")),
        Err(error) if error.kind() == Io::NotFound => Ok(()),
        Err(error) if error.kind() == Io::ConnectionRefused => {
            if fs::symlink_metadata(path)?.file_type().is_socket() {
                fs::remove_file(path)
            } else {
                let what =
                    "there is something that is no socket: remove it, or choose another path";
                Err(io::Error::new(Io::AlreadyExists, what))
            }
        }
        // Such as a full backlog: somebody is there.
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
