//! The peer of a durable queue: a bare SQLite table of bodies, committed in groups by one thread, as the
//! queue does it, but with nothing read, checked or counted.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use rusqlite::{Connection, params};

/// As many as the queue takes at once.
const GROUP: usize = 512;

type Request = (Vec<u8>, SyncSender<()>);

/// A table that runs. Dropping it ends its thread.
pub(crate) struct Table {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Table {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection
            .execute("CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)", [])?;
        let (requests, inbox) = channel();
        let thread = Some(thread::spawn(move || commit(connection, &inbox)));
        Ok(Self { requests: Some(requests), thread })
    }

    /// Where bodies are handed in; each is answered when it is on disk.
    pub(crate) fn handle(&self) -> Result<Sender<Request>> {
        self.requests.clone().context("it is closed")
    }

    pub(crate) fn close(mut self) -> Result<()> {
        drop(self.requests.take());
        let thread = self.thread.take().context("it has ended")?;
        thread.join().map_err(|_| anyhow!("its thread panicked"))?
    }
}

/// Hands in one body and waits until it is on disk.
pub(crate) fn insert(table: &Sender<Request>, body: Vec<u8>) -> Result<()> {
    let (done, committed) = sync_channel(1);
    table.send((body, done)).map_err(|_| anyhow!("the table's thread has ended"))?;
    Ok(committed.recv()?)
}

fn commit(mut connection: Connection, inbox: &Receiver<Request>) -> Result<()> {
    while let Ok(first) = inbox.recv() {
        let transaction = connection.transaction()?;
        let mut waiting = Vec::new();
        for (bytes, done) in std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1)) {
            transaction
                .prepare_cached("INSERT INTO body (bytes) VALUES (?1)")?
                .execute(params![bytes])?;
            waiting.push(done);
        }
        transaction.commit()?;
        // Whoever asked may have stopped waiting.
        waiting.into_iter().for_each(|done| _ = done.send(()));
    }
    Ok(())
}
