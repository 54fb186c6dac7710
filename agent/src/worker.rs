//! The agent's one task: silence, a session's life, silence, the next one, until it is told to stop.
//!
//! In the profile `fleet` there is one session without a silence before it, for as long as the agent
//! runs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::seq::IndexedRandom;
use tokio::sync::mpsc;
use undertone_instruments::Registry;
use undertone_wire::{
    endpoint::{DeploymentId, Endpoint},
    session::SessionId,
};

use crate::{
    agent::{State, Statistics},
    clock::{Clock, Moment, Randomness},
    gate::Gate,
    ledger::Book,
    life::{Ended, Life},
    points::Inbox,
    preview::Preview,
    profile::Profile,
    rotation::Rotation,
    session::Session,
    transport::Connect,
};

/// What all sessions of an agent have in common: nothing that tells one from another.
pub(crate) struct Worker {
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
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
    /// Parcels that sessions before this one left unsent.
    pub(crate) parcels_dropped: u64,
}

/// What the host may see of the worker.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Seen>);

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
        Session::new(self.deployment, self.clock.randomness())
    }

    /// Works until it is told to stop. Without rotation, `first` is the only session.
    pub(crate) async fn run(mut self, first: Option<Session>, mut stop: mpsc::Receiver<Stop>) {
        let warm_up = Arc::clone(&self.transport);
        tokio::spawn(async move { warm_up.warm_up().await });
        let stopped = match (self.profile.rotation(), first) {
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
        let mut randomness: Randomness = self.clock.randomness();
        loop {
            let begin = self.clock.now() + rotation.silence(&mut randomness);
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
            let end = self.clock.now() + rotation.life(&mut randomness);
            // What was counted in the silence, or in the session before, is not this one's. Without
            // rotation, what a host counts right after the start is not lost.
            self.registry.reset();
            if let Ended::Stopped(stop) = self.live(session, Some(end), stop).await {
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
        Self(Mutex::new(Seen { state, statistics: Statistics::default(), session }))
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.lock()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
