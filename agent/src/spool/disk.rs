//! The thread that owns the spool's file. It takes all that waits for it and commits it at once, so that a slow disk
//! delays a parcel, and neither a reading nor the rhythm.
//!
//! A disk that refuses takes nothing away: parcels are sent from memory, what couldn't be written is tried again,
//! and [`Disk::refuses`] says so. A corrupt file is set aside, and what is in memory goes into a new one.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot, watch,
};
use undertone_storage::{StorageError, StorageErrorKind};
use undertone_wire::{
    endpoint::{DeploymentId, Endpoint},
    parcel::{Parcel, ParcelId},
    request::BODY_LENGTH,
};

use super::{
    Fate, Witness, Witnessed,
    elapsed::Stamp,
    table::{Change, Table, reason},
};
use crate::folder::{Claimed, Folder};

/// The folder of the spool in a numbered folder.
pub(crate) const FOLDER: &str = "spool";
/// A parcel is not kept back for longer by a disk that hangs.
const KEEP_LIMIT: Duration = Duration::from_secs(10);
/// After how long without work what was deleted is made to be gone, and what couldn't be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// The most deletions that are kept for a disk that refuses them. A parcel that comes again since its deletion was
/// forgotten is known to the proxy.
const DELETIONS_LIMIT: usize = 65_536;

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

/// What is written down before a parcel may reach an address.
#[derive(Debug)]
pub(crate) struct Reaching {
    commands: Sender<Command>,
    id: ParcelId,
    endpoint: String,
}

/// What the file held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// The oldest first, each with how long it has waited, and the address that may have got it.
    pub(crate) parcels: Vec<(Parcel, Duration, Option<Endpoint>)>,
    /// How many were damaged, or are for another deployment.
    pub(crate) unreadable: u64,
    /// It isn't the first time: what waits may not be in it.
    pub(crate) again: bool,
}

#[derive(Debug)]
enum Command {
    Keep(Parcel, Stamp, watch::Sender<bool>),
    Reach(ParcelId, String, oneshot::Sender<()>),
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

impl Reaching {
    /// Whether it is written down.
    pub(crate) async fn wait(self) -> bool {
        let (done, written) = oneshot::channel();
        let sent = self.commands.send(Command::Reach(self.id, self.endpoint, done));
        sent.is_ok() && matches!(tokio::time::timeout(KEEP_LIMIT, written).await, Ok(Ok(())))
    }
}

impl Disk {
    /// Begins to open the spool in this agent's numbered folder; what it holds follows, once it is read. None where
    /// the system has no thread left.
    pub(crate) fn open(
        folder: Arc<Folder>,
        deployment: DeploymentId,
        limit_bytes: u64,
        witness: Option<Witness>,
    ) -> Option<(Self, UnboundedReceiver<Restored>)> {
        let (commands, inbox) = channel();
        let (restore, restored) = unbounded_channel();
        let (tell, trouble) = watch::channel(false);
        let keeper = move || {
            let (opened, unwritten, again) = (None, Change::default(), false);
            Keeper { folder, deployment, opened, again, unwritten, restore, tell, witness }
                .run(&inbox);
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

    /// Writes a parcel that has waited for so long.
    pub(super) fn keep(&self, parcel: &Parcel, waited: Duration) -> Kept {
        let (done, kept) = watch::channel(false);
        let sealed = Stamp::now().before(waited);
        // A thread that is gone drops the sender, which ends every wait.
        let _ = self.commands.send(Command::Keep(parcel.clone(), sealed, done));
        Kept(kept)
    }

    /// What writes down, once it is waited for, that a parcel may reach an address.
    pub(super) fn reaching(&self, id: ParcelId, endpoint: &Endpoint) -> Reaching {
        Reaching { commands: self.commands.clone(), id, endpoint: endpoint.to_string() }
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
    deployment: DeploymentId,
    opened: Option<Opened>,
    /// Whether it was opened before.
    again: bool,
    /// What the disk has refused so far.
    unwritten: Change,
    restore: UnboundedSender<Restored>,
    tell: watch::Sender<bool>,
    witness: Option<Witness>,
}

struct Opened {
    table: Table,
    /// Held for as long as the file is open.
    _folder: Arc<Claimed>,
}

impl Keeper {
    fn run(mut self, inbox: &Receiver<Command>) {
        if let Err(error) = self.opened() {
            self.refused(&error);
        }
        let mut untidy = true;
        loop {
            let first = match inbox.recv_timeout(PAUSE) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (mut kept, mut reached, mut closed) = (Vec::new(), Vec::new(), None);
            for command in first.into_iter().chain(inbox.try_iter()) {
                match command {
                    Command::Keep(parcel, sealed, done) => {
                        self.unwritten.kept.push((parcel, sealed));
                        kept.push(done);
                    }
                    Command::Reach(id, endpoint, done) => {
                        self.unwritten.reached.push((id, endpoint));
                        reached.push(done);
                    }
                    Command::Forget(id, fate) => {
                        self.unwritten.gone.push((id, fate));
                        untidy = true;
                    }
                    Command::Close(reply) => closed = Some(reply),
                }
            }
            let idle = kept.is_empty() && reached.is_empty();
            let written = self.write();
            for done in kept {
                // Also what the disk refused: it is sent from memory then.
                let _ = done.send_replace(true);
            }
            // Who waits for another is told by its end that it isn't written down.
            for done in reached.into_iter().filter(|_| written) {
                let _ = done.send(());
            }
            if let Some(reply) = closed {
                self.tidy();
                // The folder is free for the next process when this is told.
                drop(self);
                let _ = reply.send(());
                return;
            }
            if untidy && idle && written {
                untidy = !self.tidy();
            }
        }
        self.tidy();
    }

    /// Commits what isn't written yet, and says whether all of it is.
    fn write(&mut self) -> bool {
        if let Err(error) = self.opened() {
            self.refused(&error);
            self.unwritten = std::mem::take(&mut self.unwritten).to_try_again();
            return false;
        }
        if self.unwritten.is_empty() {
            return true;
        }
        let change = std::mem::take(&mut self.unwritten);
        if let Some(witness) = &self.witness {
            change.kept.iter().for_each(|(parcel, _)| witness.sealing(parcel));
        }
        let changed = self.opened().and_then(|opened| opened.table.change(&change));
        match changed {
            Ok(()) => {
                self.testify(&change);
                if self.tell.send_replace(false) {
                    tracing::info!("the spool is on the disk again");
                }
                true
            }
            Err(error) => {
                // A connection to a file that can't be read may never recover; to a full disk it does.
                if error.kind() != StorageErrorKind::Full {
                    self.opened = None;
                }
                self.unwritten = change.to_try_again();
                self.refused(&error);
                false
            }
        }
    }

    fn testify(&self, change: &Change) {
        let Some(witness) = &self.witness else { return };
        for (parcel, _) in &change.kept {
            witness.tell(Witnessed::Sealed(&parcel.id().0));
        }
        for (id, fate) in &change.gone {
            if let Some(reason) = reason(*fate) {
                witness.tell(Witnessed::Dropped(&id.0, reason));
            }
        }
    }

    /// Whether what was deleted is gone from the disk.
    fn tidy(&self) -> bool {
        let tidied = self.opened.as_ref().map_or(Ok(()), |opened| opened.table.tidy());
        if let Err(error) = &tidied {
            tracing::debug!(%error, "the spool can't tidy up; it will try again");
        }
        tidied.is_ok()
    }

    /// The file, opened if it isn't. Then what it holds is handed over.
    fn opened(&mut self) -> Result<&mut Opened, StorageError> {
        if self.opened.is_none() {
            let folder = self.folder.claim().map_err(|error| {
                StorageError::new(StorageErrorKind::Io, "cannot take a numbered folder")
                    .with_source(error)
            })?;
            let mut table = Table::open(&folder.path().join(FOLDER))?;
            let restored = self.restored(&mut table)?;
            self.again = true;
            // An agent that has ended meanwhile asks for nothing any more.
            let _ = self.restore.send(restored);
            self.opened = Some(Opened { table, _folder: folder });
        }
        // Just opened.
        self.opened.as_mut().ok_or_else(StorageError::closed)
    }

    /// What is in the file, but for what is to be deleted.
    fn restored(&self, table: &mut Table) -> Result<Restored, StorageError> {
        let now = Stamp::now();
        let gone: HashSet<[u8; 16]> = self.unwritten.gone.iter().map(|(id, _)| id.0).collect();
        let (mut restored, mut unreadable) = (Restored::default(), Vec::new());
        for row in table.rows()?.into_iter().filter(|row| !gone.contains(&row.id)) {
            let reached = row.reached.map(|endpoint| endpoint.parse()).transpose();
            match (Parcel::kept(&row.body, &self.deployment), reached) {
                (Ok(parcel), Ok(reached)) => {
                    restored.parcels.push((parcel, row.sealed.elapsed(&now), reached));
                }
                _ => unreadable.push(row.id),
            }
        }
        table.drop_unreadable(&unreadable)?;
        restored.unreadable = unreadable.len() as u64;
        restored.again = self.again;
        let dropped: u64 = table.dropped()?.values().sum();
        if !self.again && (!restored.parcels.is_empty() || !unreadable.is_empty() || dropped > 0) {
            tracing::info!(
                waiting = restored.parcels.len(),
                unreadable = unreadable.len(),
                dropped_since_it_was_made = dropped,
                "the spool of earlier runs is opened; what waits in it is sent"
            );
        }
        Ok(restored)
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
    fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.reached.is_empty() && self.gone.is_empty()
    }

    /// What was never written and is gone already need not be; who waited for a note was told that there is none.
    fn to_try_again(mut self) -> Self {
        let gone: HashSet<ParcelId> = self.gone.iter().map(|(id, _)| *id).collect();
        self.kept.retain(|(parcel, _)| !gone.contains(&parcel.id()));
        self.reached.clear();
        let beyond = self.gone.len().saturating_sub(DELETIONS_LIMIT);
        self.gone.drain(..beyond);
        self
    }
}

#[cfg(test)]
mod tests;
