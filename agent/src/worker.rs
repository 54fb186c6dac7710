//! The agent's one task: silence, a session's life, silence, the next one, until it is told to stop.
//!
//! With scope `batch` there is one life without end, in which each batch has its session. In the profile `fleet` there is one session without a silence before it, for as long as the agent
//! runs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::seq::IndexedRandom;
use tokio::sync::{mpsc, oneshot};
use undertone_instruments::Registry;
use undertone_wire::{
    endpoint::{DeploymentId, Endpoint},
    schema::Schema,
    session::SessionId,
};

use crate::{
    agent::{State, Statistics},
    clock::{Clock, Moment},
    consent::OffReason,
    gate::Gate,
    ledger::Book,
    life::{Ended, Life},
    points::Inbox,
    preview::Preview,
    profile::Profile,
    rotation::Rotation,
    route::Route,
    scope::Scope,
    session::Session,
    spool::{
        Drops,
        disk::{Disk, Restored},
    },
    transport::Connect,
};

/// What all sessions of an agent have in common: nothing that tells one from another.
pub(crate) struct Worker {
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
    pub(crate) scope: Scope,
    pub(crate) deployment: DeploymentId,
    /// Where to report to; a session takes one of them.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) transport: Arc<dyn Connect>,
    pub(crate) registry: Registry,
    pub(crate) interval: Duration,
    pub(crate) gate: Gate,
    pub(crate) inbox: Inbox,
    /// What is sent is written down here first.
    pub(crate) ledger: Arc<Book>,
    /// Questions what would go out; answered while a session lives.
    pub(crate) looks: mpsc::Receiver<Look>,
    pub(crate) shared: Arc<Shared>,
    /// How long a parcel waits at most.
    pub(crate) parcel_age: Duration,
    /// Where parcels outlive the process, in the profile `fleet`: the first session's, which is the only one.
    pub(crate) disk: Option<(Disk, oneshot::Receiver<Restored>)>,
    /// Parcels that sessions before this one gave up or left unsent.
    pub(crate) drops: Drops,
}

/// What the host may see of the worker.
#[derive(Debug)]
pub(crate) struct Shared {
    seen: Mutex<Seen>,
    /// What is to be declared from the next session on.
    schema: Mutex<Option<Schema>>,
    /// What is declared now; none while nothing is.
    declared: Mutex<Option<Schema>>,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) statistics: Statistics,
    /// The session that is reported under now.
    pub(crate) session: Option<SessionId>,
}

/// The question what would go out now.
pub(crate) struct Look(pub(crate) std::sync::mpsc::SyncSender<Preview>);

/// The request to stop; answered when what had to be done is done.
pub(crate) struct Stop(pub(crate) std::sync::mpsc::Sender<()>);

impl Worker {
    /// A new session, which nothing joins to any other.
    pub(crate) fn session(&self) -> Session {
        Session::new(self.deployment, &self.clock)
    }

    /// The way of a session that is not `other`'s.
    pub(crate) fn route(&self, session: &Session, other: &Route) -> Route {
        let endpoint = self.endpoints.choose(&mut self.clock.randomness());
        Route::new(endpoint.unwrap_or(&other.endpoint).clone(), session.isolation)
    }

    /// Declares what the host has changed its schema to, and says whether it has.
    pub(crate) fn take_schema(&mut self) -> bool {
        let Some(schema) = lock(&self.shared.schema).take() else { return false };
        self.shared.declares(schema.clone());
        self.interval = schema.interval();
        self.gate.change_schema(Arc::new(schema));
        true
    }

    /// Works until it is told to stop. Without rotation, `first` is the only session.
    pub(crate) async fn run(mut self, first: Option<Session>, mut stop: mpsc::Receiver<Stop>) {
        let warm_up = Arc::clone(&self.transport);
        tokio::spawn(async move { warm_up.warm_up().await });
        let stopped = match (self.profile.rotation(self.scope), first) {
            (Some(rotation), _) => self.rotate(rotation, &mut stop).await,
            (None, first) => {
                let session = first.unwrap_or_else(|| self.session());
                match self.live(session, None, &mut stop).await {
                    Ended::Stopped(stop) => stop,
                    Ended::Over => None,
                }
            }
        };
        if let Some(Stop(done)) = stopped {
            // Whoever asked may have given up waiting.
            let _ = done.send(());
        }
    }

    /// One session after another, each after a silence; returns the request to stop.
    async fn rotate(
        &mut self,
        rotation: Rotation,
        stop: &mut mpsc::Receiver<Stop>,
    ) -> Option<Stop> {
        loop {
            // A generator a draw: one that stays would tell, to who sees its state, how long silences and
            // lives have been.
            let begin = self.clock.now() + rotation.silence(&mut self.clock.randomness());
            self.shared.change(|seen| (seen.state, seen.session) = (State::Silent, None));
            tokio::select! {
                biased;
                stop = stop.recv() => return stop,
                () = self.clock.sleep_until(begin) => {}
            }
            let session = self.session();
            let id = session.id();
            self.shared
                .change(|seen| (seen.state, seen.session) = (State::Bootstrapping, Some(id)));
            let life = rotation.life(&mut self.clock.randomness());
            let end = (!self.scope.is_batch()).then(|| self.clock.now() + life);
            self.take_schema();
            // What was counted in the silence, or in the session before, is not this one's. Without
            // rotation, what a host counts right after the start is not lost.
            self.registry.reset();
            if let Ended::Stopped(stop) = self.live(session, end, stop).await {
                return stop;
            }
        }
    }

    /// One session's life, with one of the onion addresses for all of it: two proxies would each admit a
    /// parcel that went to both.
    async fn live(
        &mut self,
        session: Session,
        end: Option<Moment>,
        stop: &mut mpsc::Receiver<Stop>,
    ) -> Ended {
        let endpoint = self.endpoints.choose(&mut self.clock.randomness()).cloned();
        // An agent isn't started without one.
        let Some(endpoint) = endpoint else { return Ended::Stopped(stop.recv().await) };
        Life::begin(self, session, endpoint, end).run(stop).await
    }
}

impl Shared {
    pub(crate) fn new(state: State, session: Option<SessionId>) -> Self {
        let seen = Seen { state, statistics: Statistics::default(), session };
        Self { seen: Mutex::new(seen), schema: Mutex::default(), declared: Mutex::default() }
    }

    pub(crate) fn seen(&self) -> Seen {
        *lock(&self.seen)
    }

    /// Changes what is seen, unless the agent is off: then nothing does any more.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = lock(&self.seen);
        if !matches!(seen.state, State::Off(_)) {
            change(&mut seen);
        }
    }

    /// The agent is off from now on, and what waited is gone.
    pub(crate) fn off(&self, reason: OffReason) {
        self.change(|seen| {
            (seen.state, seen.session) = (State::Off(reason), None);
            seen.statistics.drops.session_ended += seen.statistics.parcels_waiting as u64;
            seen.statistics.parcels_waiting = 0;
        });
    }

    /// Keeps a schema for the next session; the latest is what counts.
    pub(crate) fn keep_schema(&self, schema: Schema) {
        *lock(&self.schema) = Some(schema);
    }

    /// Tells what is declared from now on.
    pub(crate) fn declares(&self, schema: Schema) {
        *lock(&self.declared) = Some(schema);
    }

    /// Whether what is declared, now or from the next session on, goes beyond what was agreed to.
    pub(crate) fn is_beyond(&self, agreed: &Schema) -> bool {
        [&self.declared, &self.schema].into_iter().any(|schema| {
            lock(schema).as_ref().is_some_and(|schema| schema.within(agreed) != *schema)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
