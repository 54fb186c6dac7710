//! A listener with a runtime of its own, and raw requests to it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
};
use undertone_collectors::listener::{Full, Limits, Listener, ListenerConfig, Token};
use undertone_wire::Point;

pub(crate) const TOKEN: &str = "0123456789-token-0123456789";

/// Listens on a unix socket and on TCP.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) path: PathBuf,
    points: Arc<Mutex<Vec<Point>>>,
    room: Arc<Mutex<usize>>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
    runtime: Runtime,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Serving {
    pub(crate) fn start(limits: Limits) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let config = ListenerConfig {
            unix: Some(path.clone()),
            tcp: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            token: Some(Token::new(TOKEN).unwrap()),
            limits,
            ..ListenerConfig::default()
        };
        let listener = runtime.block_on(async { Listener::bind(config) }).unwrap();
        let address = listener.address().unwrap();
        assert_eq!(listener.path(), Some(path.as_path()));
        let points = Arc::new(Mutex::new(Vec::new()));
        let room = Arc::new(Mutex::new(usize::MAX));
        let accept = {
            let (points, room) = (Arc::clone(&points), Arc::clone(&room));
            move |new: Vec<Point>| {
                let mut room = room.lock().unwrap();
                let full = Full { retry_after: Duration::from_millis(6_500) };
                *room = room.checked_sub(new.len()).ok_or(full)?;
                points.lock().unwrap().extend(new);
                Ok(())
            }
        };
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(listener.serve(accept, async { drop(stopped.await) }));
        let (stop, task) = (Some(stop), Some(task));
        Self { address, path, points, room, stop, task, runtime, _folder: folder }
    }

    /// From now on, there is room for so many points.
    pub(crate) fn set_room(&self, points: usize) {
        *self.room.lock().unwrap() = points;
    }

    /// What was handed over since the last call.
    pub(crate) fn points(&self) -> Vec<Point> {
        std::mem::take(&mut self.points.lock().unwrap())
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    pub(crate) fn unix(&self) -> UnixStream {
        UnixStream::connect(&self.path).unwrap()
    }

    /// The answer to a write on the unix socket.
    pub(crate) fn write(&self, target: &str, headers: &str, body: &[u8]) -> Answer {
        exchange(self.unix(), &post(target, headers, body))
    }

    /// Tells the listener to end.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until the listener has ended.
    pub(crate) fn ended(&mut self) {
        self.runtime.block_on(self.task.take().unwrap()).unwrap();
    }
}

impl Answer {
    /// Reads all that comes until the connection is closed.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("this is no answer: {text:?}")),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} has no JSON"))
    }
}

pub(crate) fn post(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    stream.write_all(request).unwrap();
    Answer::read(stream)
}
