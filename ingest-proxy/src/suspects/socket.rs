//! Asking a proxy that runs what only it can do, for the command line: its queue's file is open in one
//! process at a time.
//!
//! A unix socket in the data folder, mode 0600 in a folder of mode 0700: whoever can connect to it could read and
//! write the files, too. One line of words is asked, text is answered. Nothing of it is on a network.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::SuspectAction;
use crate::{
    error::{Error, ErrorKind},
    queue::Queue,
    writer::stopped,
};

/// The socket's name in the data folder.
const NAME: &str = "suspects.sock";
/// The longest question.
const QUESTION_LIMIT: u64 = 256;
/// Questions answered at once.
const CONNECTIONS_LIMIT: usize = 4;
/// From the connection to the last byte.
const LIMIT: Duration = Duration::from_secs(30);
/// What an answer begins with.
const DONE: &str = "done\n";
const FAILED: &str = "failed\n";

/// A socket that is bound. Its file goes with it.
pub(crate) struct SuspectSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl SuspectSocket {
    /// Binds the socket in the folder of a queue that this process has open: a file that is there was left
    /// behind.
    pub(crate) fn bind(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until it is told to stop.
    pub(crate) async fn serve(self, queue: Queue, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_LIMIT => {
                    let Ok((stream, _)) = accepted else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    let queue = queue.clone();
                    // Whoever asked may have gone.
                    connections.spawn(async move { drop(timeout(LIMIT, answer(stream, queue)).await) });
                }
            }
        }
    }
}

impl Drop for SuspectSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, queue: Queue) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    (&mut stream).take(QUESTION_LIMIT).read_line(&mut question).await?;
    let (outcome, text) = match SuspectAction::read(&question) {
        Some(action) => match super::run(&queue, &action).await {
            Ok(text) => (DONE, text),
            Err(why) => (FAILED, why),
        },
        None => {
            (FAILED, "this proxy doesn't know the command: it is of another version".to_owned())
        }
    };
    stream.write_all(outcome.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Asks the proxy that runs with this data folder. None if none does.
///
/// # Errors
/// [`ErrorKind::Storage`] if it can't do it, or doesn't answer.
pub(super) async fn ask(folder: &Path, action: &SuspectAction) -> Result<Option<String>, Error> {
    let failed = || Error::new(ErrorKind::Storage, "ask the proxy that runs");
    let stream = match UnixStream::connect(folder.join(NAME)).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed().because(error)),
    };
    let exchange = async {
        let mut stream = stream;
        stream.write_all(action.written().as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<_, io::Error>(text)
    };
    let text = match timeout(LIMIT, exchange).await {
        Ok(answered) => answered.map_err(|error| failed().because(error))?,
        Err(_) => return Err(failed().because("no answer in time")),
    };
    match (text.strip_prefix(DONE), text.strip_prefix(FAILED)) {
        (Some(text), _) => Ok(Some(text.to_owned())),
        (None, Some(why)) => Err(failed().because(why.to_owned())),
        (None, None) => Err(failed().because("it stopped before it had answered")),
    }
}
