//! The proxy's end of the socket.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{Answer, NAME, REQUEST_LIMIT_BYTES, Request, answer};
use crate::{
    accept,
    error::{Error, ErrorKind},
    queue::Queue,
    writer::stopped,
};

/// Requests answered at once.
const CONNECTIONS_LIMIT: usize = 8;
/// From the connection to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A socket that is bound.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds it, in place of one that a proxy left which was killed. Only for who has the queue open, which
    /// no two processes do.
    pub(crate) fn bind(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(NAME);
        let bind = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = at_short_path(data_dir, |short| UnixListener::bind(short))?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener = bind().map_err(|error: io::Error| {
            Error::new(ErrorKind::Socket, format!("listen on {}", path.display())).because(error)
        })?;
        Ok(Self { listener, path })
    }

    /// Answers until `stop` says so.
    pub(crate) async fn serve(self, queue: Queue, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_LIMIT => {
                    let Some(stream) = accept::or_pause(accepted).await else { continue };
                    let queue = queue.clone();
                    connections.spawn(async move {
                        // Who asked and went away needs no answer.
                        let _ = timeout(LIMIT, exchange(stream, &queue)).await;
                    });
                }
            }
        }
        // What was begun is answered; it may hold lines that are half told.
        while connections.join_next().await.is_some() {}
        let _ = fs::remove_file(&self.path);
    }
}

async fn exchange(mut stream: UnixStream, queue: &Queue) -> io::Result<()> {
    let mut text = Vec::new();
    (&mut stream).take(REQUEST_LIMIT_BYTES).read_to_end(&mut text).await?;
    let answer = match serde_json::from_slice::<Request>(&text) {
        Ok(request) => answer(queue, request).await,
        Err(_) => {
            Answer::Failed("the proxy that runs knows no such request: is it older?".to_owned())
        }
    };
    stream.write_all(&serde_json::to_vec(&answer)?).await?;
    stream.shutdown().await
}

/// The socket by a path that is short enough for one: a system's limit is about 100 bytes.
pub(super) fn at_short_path<T>(
    data_dir: &Path,
    with: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let folder = File::open(data_dir)?;
    let path = data_dir.join(NAME);
    if path.as_os_str().len() < 100 {
        return with(&path);
    }
    with(Path::new(&format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())))
}
