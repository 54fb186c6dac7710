//! The thread that owns the queue's file: it takes all that waits, commits it at once, then
//! answers.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::store::{Prepared, Store, Stored};
use super::{Admitted, Held, Quarantined, QueueStats, SessionRecord, Suspect};
use undertone_storage::StorageError;

/// Where the answer goes.
pub(super) struct Reply<T>(pub(super) oneshot::Sender<Result<T, StorageError>>);

impl<T> Reply<T> {
    /// Whoever asked may have stopped waiting; what was done stays done.
    fn send(self, answer: Result<T, StorageError>) {
        let _ = self.0.send(answer);
    }
}

/// What the thread can be asked for.
pub(super) enum Command {
    Admit(Prepared, Reply<Admitted>),
    Register(Vec<String>, Reply<()>),
    Read { sink: String, points: usize, reply: Reply<Stored> },
    Advance { sink: String, through: i64, refused: Vec<Quarantined>, reply: Reply<()> },
    Quarantined(usize, Reply<Vec<Quarantined>>),
    Lag(String, Reply<u64>),
    Sessions(Reply<Vec<SessionRecord>>),
    Suspects(usize, Reply<Vec<Suspect>>),
    Held { session: String, limit: usize, reply: Reply<Vec<Held>> },
    Release(String, Reply<Option<u64>>),
    DeleteHeld(String, Reply<Option<u64>>),
    Maintain(Reply<()>),
    Close(Reply<()>),
}

/// A command, and the place that it takes up until it is answered.
pub(super) struct Request {
    command: Command,
    place: OwnedSemaphorePermit,
}

impl Request {
    pub(super) fn new(command: Command, place: OwnedSemaphorePermit) -> Self {
        Self { command, place }
    }
}

/// Serves requests until all handles are gone or one asks to close.
pub(super) fn run(
    mut store: Store,
    inbox: &Receiver<Request>,
    stats: &Mutex<QueueStats>,
    newest: &watch::Sender<i64>,
) {
    let mut maintained = Instant::now();
    loop {
        let first = match inbox.recv_timeout(PAUSE) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let idle = first.is_none();
        let mut admissions = Vec::new();
        let mut replies = Vec::new();
        let mut others = Vec::new();
        for request in first.into_iter().chain(inbox.try_iter().take(GROUP - 1)) {
            match request.command {
                Command::Admit(prepared, reply) => {
                    admissions.push(prepared);
                    replies.push((reply, request.place));
                }
                command => others.push((command, request.place)),
            }
        }

        if !admissions.is_empty() {
            let outcome = store.admit(&admissions);
            // Before the answers, so that who has one finds it in the counts.
            publish(&store, stats, newest);
            answer(replies, outcome);
        }
        for (command, _place) in others {
            if let Command::Close(reply) = command {
                reply.send(store.close());
                return;
            }
            serve(&mut store, command, |store| publish(store, stats, newest));
        }

        let due = maintained.elapsed();
        if due >= MAINTAIN || (store.has_deleted() && (idle || due >= FORGET)) {
            if let Err(error) = store.maintain() {
                tracing::warn!(%error, "the queue can't tidy up; it will try again");
            }
            maintained = Instant::now();
            publish(&store, stats, newest);
        }
    }
    if let Err(error) = store.close() {
        tracing::warn!(%error, "the queue was not closed cleanly; nothing is lost");
    }
}

fn answer(
    replies: Vec<(Reply<Admitted>, OwnedSemaphorePermit)>,
    outcome: Result<Vec<Admitted>, StorageError>,
) {
    match outcome {
        Ok(admitted) => {
            for ((reply, _place), admitted) in replies.into_iter().zip(admitted) {
                reply.send(Ok(admitted));
            }
        }
        Err(error) => {
            tracing::error!(%error, parcels = replies.len(), "a commit failed; agents will retry");
            for (reply, _place) in replies {
                reply.send(Err(error.clone()));
            }
        }
    }
}

/// `publish` comes before the answer, so that who has it finds it in the counts.
fn serve(store: &mut Store, command: Command, publish: impl Fn(&Store)) {
    match command {
        Command::Register(names, reply) => {
            let outcome = store.register(&names);
            publish(store);
            reply.send(outcome);
        }
        Command::Advance { sink, through, refused, reply } => {
            let outcome = store.advance(&sink, through, &refused);
            publish(store);
            reply.send(outcome);
        }
        Command::Maintain(reply) => {
            let outcome = store.maintain();
            publish(store);
            reply.send(outcome);
        }
        Command::Read { sink, points, reply } => reply.send(store.read(&sink, points)),
        Command::Quarantined(limit, reply) => reply.send(store.quarantined(limit)),
        Command::Sessions(reply) => reply.send(store.sessions()),
        Command::Lag(sink, reply) => reply.send(store.lag(&sink)),
        Command::Suspects(limit, reply) => reply.send(store.suspects(limit)),
        Command::Held { session, limit, reply } => reply.send(store.held(&session, limit)),
        Command::Release(session, reply) => {
            let outcome = store.release(&session);
            publish(store);
            reply.send(outcome);
        }
        Command::DeleteHeld(session, reply) => {
            let outcome = store.delete_held(&session);
            publish(store);
            reply.send(outcome);
        }
        // Handled where they are taken.
        Command::Admit(..) | Command::Close(..) => {}
    }
}

fn publish(store: &Store, stats: &Mutex<QueueStats>, newest: &watch::Sender<i64>) {
    stats.lock().unwrap_or_else(PoisonError::into_inner).clone_from(store.stats());
    let latest = store.stats().newest;
    newest.send_if_modified(|newest| {
        let changed = *newest != latest;
        *newest = latest;
        changed
    });
}

/// How many requests are taken at once.
const GROUP: usize = 512;
/// After how long without a request what was deleted is made to be gone.
const PAUSE: Duration = Duration::from_secs(1);
/// After how long at most it is, when requests never pause.
const FORGET: Duration = Duration::from_secs(10);
/// How often age is looked at when nothing happens.
const MAINTAIN: Duration = Duration::from_secs(60);
