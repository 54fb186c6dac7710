//! What stands behind a C tor's onion service in place of a proxy, and records what comes out of Tor.
//!
//! It reads whole requests from a unix socket, exactly as they come, and answers each with the bytes that
//! were asked for.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;

use crate::wait;

/// Whether a recorder at work has ended, and what it has.
#[derive(Debug, Default)]
struct Shared {
    ended: bool,
    answer: Vec<u8>,
    requests: Vec<Vec<u8>>,
}

/// The recorder. Dropping it closes its socket.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Listens on this path for requests of this length, and answers with these bytes.
    pub fn listen(path: &Path, length: usize, answer: &[u8]) -> Result<Self> {
        let listener = UnixListener::bind(path)?;
        let shared = Shared { answer: answer.to_vec(), ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, length, &shared)
        });
        Ok(Self { path: path.to_owned(), shared, thread: Some(thread) })
    }

    /// Answers with these bytes from the next request on.
    pub fn answer(&self, bytes: &[u8]) {
        lock(&self.shared).answer = bytes.to_vec();
    }

    /// All whole requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        lock(&self.shared).requests.clone()
    }

    /// Waits until there are so many.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Result<()> {
        wait::until(&format!("{count} requests out of Tor"), timeout, || {
            Ok((lock(&self.shared).requests.len() >= count).then_some(()))
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        lock(&self.shared).ended = true;
        // Wakes `accept`.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &UnixListener, length: usize, shared: &Arc<Mutex<Shared>>) {
    while let Ok((mut stream, _)) = listener.accept() {
        if lock(shared).ended {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut request = vec![0; length];
            // Whoever only looks whether somebody is there sends none.
            while stream.read_exact(&mut request).is_ok() {
                let answer = {
                    let mut shared = lock(&shared);
                    shared.requests.push(request.clone());
                    shared.answer.clone()
                };
                if stream.write_all(&answer).is_err() {
                    return;
                }
            }
        });
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
