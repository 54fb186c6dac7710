//! The thread that owns the spool's file. It takes all that waits for it and commits it at once, so that a slow disk
//! delays a parcel, and neither a reading nor the rhythm.
//!
//! A disk that refuses takes nothing away: the parcel is sent from memory, what couldn't be written is tried again
//! with everything that follows, and [`Trouble`] says so. A corrupt file is set aside at the next start.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::{oneshot, watch};
use undertone_storage::StorageError;
use undertone_wire::{
    endpoint::DeploymentId,
    parcel::{Parcel, ParcelId},
    request::BODY_LENGTH,
};

use super::{
    Fate,
    elapsed::Stamp,
    table::{Change, Table},
};
use crate::folder::{Claimed, Folder};

/// The folder of the spool in a numbered folder.
pub(crate) const FOLDER: &str = "spool";
/// A parcel is not kept back for longer by a disk that hangs.
const KEEP_LIMIT: Duration = Duration::from_secs(10);
/// After how long without work what was deleted is made to be gone, and what couldn't be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A spool's disk.
#[derive(Debug)]
pub(crate) struct Disk {
    commands: Sender<Command>,
    parcels_limit: usize,
    trouble: watch::Receiver<bool>,
}

/// Whether a parcel is on the disk, or never will be.
#[derive(Debug, Clone)]
pub(crate) struct Kept(watch::Receiver<bool>);

/// What an earlier process left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// The oldest first, each with how long it has waited.
    pub(crate) parcels: Vec<(Parcel, Duration)>,
    /// How many were damaged, or are for another deployment.
    pub(crate) unreadable: u64,
}

enum Command {
    Keep(Parcel, Stamp, watch::Sender<bool>),
    Forget(ParcelId, Fate),
    Close(oneshot::Sender<()>),
}

impl Kept {
    /// Waits until it is, or until the disk has had long enough.
    pub(crate) async fn wait(mut self) {
        // A thread that is gone keeps nothing any more.
        let _ = tokio::time::timeout(KEEP_LIMIT, self.0.wait_for(|kept| *kept)).await;
    }
}

impl Disk {
    /// Begins to open the spool in this agent's numbered folder; what it holds follows, once it is read. None where
    /// the system has no thread left.
    pub(crate) fn open(
        folder: Arc<Folder>,
        deployment: DeploymentId,
        limit_bytes: u64,
    ) -> Option<(Self, oneshot::Receiver<Restored>)> {
        let (commands, inbox) = channel();
        let (restore, restored) = oneshot::channel();
        let (tell, trouble) = watch::channel(false);
        let keeper = move || {
            let mut keeper = Keeper { folder, opened: None, unwritten: Change::default(), tell };
            let found = keeper.restore(&deployment);
            // An agent that has ended meanwhile asks for nothing any more.
            let _ = restore.send(found);
            keeper.run(&inbox);
        };
        thread::Builder::new().name("undertone-spool".to_owned()).spawn(keeper).ok()?;
        let parcels_limit = usize::try_from(limit_bytes / BODY_LENGTH as u64).unwrap_or(usize::MAX);
        Some((Self { commands, parcels_limit: parcels_limit.max(1), trouble }, restored))
    }

    /// How many parcels may wait.
    pub(super) fn parcels_limit(&self) -> usize {
        self.parcels_limit
    }

    /// Whether it can't be written now.
    pub(super) fn refuses(&self) -> bool {
        *self.trouble.borrow()
    }

    /// Writes a parcel that has just been sealed.
    pub(super) fn keep(&self, parcel: &Parcel) -> Kept {
        let (done, kept) = watch::channel(false);
        // A thread that is gone drops the sender, which ends every wait.
        let _ = self.commands.send(Command::Keep(parcel.clone(), Stamp::now(), done));
        Kept(kept)
    }

    /// Deletes a parcel.
    pub(super) fn forget(&self, id: ParcelId, fate: Fate) {
        let _ = self.commands.send(Command::Forget(id, fate));
    }

    /// Waits until everything is written, and the file is closed.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).is_ok() {
            let _ = closed.await;
        }
    }
}

struct Keeper {
    folder: Arc<Folder>,
    opened: Option<Opened>,
    /// What the disk has refused so far.
    unwritten: Change,
    tell: watch::Sender<bool>,
}

struct Opened {
    table: Table,
    /// Held for as long as the file is open.
    _folder: Arc<Claimed>,
}

impl Keeper {
    /// Opens the file and reads what it holds.
    fn restore(&mut self, deployment: &DeploymentId) -> Restored {
        let read = |opened: &mut Opened| -> Result<Restored, StorageError> {
            let now = Stamp::now();
            let (mut restored, mut unreadable) = (Restored::default(), Vec::new());
            for row in opened.table.rows()? {
                match Parcel::kept(&row.body, deployment) {
                    Ok(parcel) => restored.parcels.push((parcel, row.sealed.elapsed(&now))),
                    Err(_) => unreadable.push(row.id),
                }
            }
            opened.table.drop_unreadable(&unreadable)?;
            restored.unreadable = unreadable.len() as u64;
            let dropped: u64 = opened.table.dropped()?.values().sum();
            if !restored.parcels.is_empty() || !unreadable.is_empty() {
                tracing::info!(
                    waiting = restored.parcels.len(),
                    unreadable = unreadable.len(),
                    dropped_since_it_was_made = dropped,
                    "an earlier run has left parcels, which are sent now"
                );
            }
            Ok(restored)
        };
        match self.opened().and_then(read) {
            Ok(restored) => restored,
            Err(error) => {
                self.refused(&error);
                Restored::default()
            }
        }
    }

    fn run(mut self, inbox: &Receiver<Command>) {
        let mut untidy = true;
        loop {
            let first = match inbox.recv_timeout(PAUSE) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (mut done, mut closed) = (Vec::new(), None);
            for command in first.into_iter().chain(inbox.try_iter()) {
                match command {
                    Command::Keep(parcel, sealed, kept) => {
                        self.unwritten.kept.push((parcel, sealed));
                        done.push(kept);
                    }
                    Command::Forget(id, fate) => {
                        self.unwritten.gone.push((id, fate));
                        untidy = true;
                    }
                    Command::Close(reply) => closed = Some(reply),
                }
            }
            let idle = done.is_empty();
            self.write();
            // Also what the disk refused: it is sent from memory then.
            done.iter().for_each(|kept| drop(kept.send_replace(true)));
            if let Some(reply) = closed {
                self.tidy();
                drop(self.opened.take());
                let _ = reply.send(());
                return;
            }
            if untidy && idle && self.unwritten.gone.is_empty() {
                self.tidy();
                untidy = false;
            }
        }
        self.tidy();
    }

    /// Commits what isn't written yet.
    fn write(&mut self) {
        if self.unwritten.kept.is_empty() && self.unwritten.gone.is_empty() {
            return;
        }
        // What is to be deleted need not be written first, unless it may be there already.
        let change = std::mem::take(&mut self.unwritten);
        match self.opened().and_then(|opened| opened.table.change(&change)) {
            Ok(()) => {
                if self.tell.send_replace(false) {
                    tracing::info!("the spool is on the disk again");
                }
            }
            Err(error) => {
                self.unwritten = change.without_what_is_gone();
                self.refused(&error);
            }
        }
    }

    fn tidy(&mut self) {
        let tidied = self.opened.as_ref().map_or(Ok(()), |opened| opened.table.tidy());
        if let Err(error) = tidied {
            tracing::debug!(%error, "the spool can't tidy up; it will try again");
        }
    }

    fn opened(&mut self) -> Result<&mut Opened, StorageError> {
        if self.opened.is_none() {
            let folder = self.folder.claim().map_err(|error| {
                let kind = undertone_storage::StorageErrorKind::Io;
                StorageError::new(kind, "cannot take a numbered folder").with_source(error)
            })?;
            let path: PathBuf = folder.path().join(FOLDER);
            self.opened = Some(Opened { table: Table::open(&path)?, _folder: folder });
        }
        // Just opened.
        self.opened.as_mut().ok_or_else(StorageError::closed)
    }

    fn refused(&self, error: &StorageError) {
        if !self.tell.send_replace(true) {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(
                %error,
                reason = reason.unwrap_or_default(),
                "what waits is in memory alone, and would be lost with this process, until the disk takes it"
            );
        }
    }
}

impl Change {
    /// What was never written and is gone already need not be.
    fn without_what_is_gone(mut self) -> Self {
        let gone: Vec<ParcelId> = self.gone.iter().map(|(id, _)| *id).collect();
        self.kept.retain(|(parcel, _)| !gone.contains(&parcel.id()));
        self
    }
}
