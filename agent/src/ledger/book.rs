//! What an agent writes its ledger with, wherever that is.
//!
//! Disks are waited for beside the agent's task: one that hangs delays a push, and nothing else.

use std::{
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::SystemTime,
};

use super::{
    LOOK, Ledger,
    disk::Disk,
    memory::Memory,
    record,
    sent::{Outcome, Sent},
};
use crate::{clock::Clock, folder::Folder};

/// The ledger of one agent. Touches nothing before something is to be sent.
#[derive(Debug)]
pub(crate) struct Book {
    clock: Clock,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Mutex<Memory>),
    Disk(Disk),
}

/// A request that was written down; its outcome follows.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(super) number: u32,
    /// Where it stands, if on a disk: outcomes follow in the same file.
    pub(super) file: Option<Arc<File>>,
}

impl Book {
    /// On disk only where there is a folder.
    pub(crate) fn new(ledger: Ledger, folder: Option<Arc<Folder>>, clock: Clock) -> Arc<Self> {
        let place = match (ledger, folder) {
            (Ledger::Disk, Some(folder)) => Place::Disk(Disk::new(folder, SystemTime::now)),
            _ => Place::Memory(Mutex::default()),
        };
        Arc::new(Self { clock, place })
    }

    /// Whether something could be written down now; makes the file, and deletes what is too old.
    pub(crate) async fn ready(self: &Arc<Self>) -> io::Result<()> {
        self.beside(|book| match &book.place {
            Place::Memory(_) => Ok(()),
            Place::Disk(disk) => disk.ready(book.clock.now()),
        })
        .await
    }

    /// Writes down what is about to be handed to Tor. When this is done, it is on the disk.
    pub(crate) async fn attempt(self: Arc<Self>, bytes: Arc<[u8]>) -> io::Result<Attempt> {
        self.beside(move |book| {
            let too_long = || io::Error::other("too long for the ledger");
            let parcel = record::parcel(&bytes).ok_or_else(too_long)?;
            let now = book.clock.now();
            match &book.place {
                Place::Memory(memory) => {
                    Ok(Attempt { number: lock(memory).attempt(parcel, now), file: None })
                }
                Place::Disk(disk) => disk.attempt(parcel, now),
            }
        })
        .await
    }

    /// Writes down what became of it. If that fails, it stays an attempt.
    pub(crate) async fn outcome(self: &Arc<Self>, attempt: Attempt, outcome: Outcome) {
        let written = self.beside(move |book| match &book.place {
            Place::Memory(memory) => {
                lock(memory).outcome(attempt.number, outcome);
                Ok(())
            }
            Place::Disk(disk) => disk.outcome(&attempt, outcome),
        });
        if let Err(error) = written.await {
            tracing::debug!(%error, "the ledger doesn't know what became of a request");
        }
    }

    /// All that it holds; on disk, also what other processes of the data folder sent.
    pub(crate) fn read(&self) -> io::Result<Sent> {
        match &self.place {
            Place::Memory(memory) => Ok(lock(memory).read(self.clock.now())),
            Place::Disk(disk) => disk.read(self.clock.now()),
        }
    }

    /// Deletes what is too old, at once and then every few minutes, until the agent is gone.
    pub(crate) async fn keep(book: Weak<Self>) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            let Some(book) = book.upgrade() else { return };
            let swept = book.beside(|book| {
                match &book.place {
                    Place::Memory(memory) => lock(memory).sweep(book.clock.now()),
                    Place::Disk(disk) => disk.sweep(book.clock.now()),
                }
                Ok(())
            });
            // It can fail only together with the runtime.
            let _ = swept.await;
        }
    }

    /// Forgets what is in memory, and lets go of the folder that files are in. For an agent whose task has ended.
    pub(crate) fn forget(&self) {
        match &self.place {
            Place::Memory(memory) => *lock(memory) = Memory::default(),
            Place::Disk(disk) => disk.let_go(),
        }
    }

    async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        what: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match self.place {
            Place::Memory(_) => what(self),
            Place::Disk(_) => {
                let book = Arc::clone(self);
                let done = tokio::task::spawn_blocking(move || what(&book)).await;
                done.map_err(io::Error::other)?
            }
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
