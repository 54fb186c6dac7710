//! How a session's life sends: what goes next, the push that runs, and what is learned of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;
use undertone_wire::{batch::Payload, endpoint::Endpoint, parcel::ParcelId};

use super::Life;
use crate::{
    agent::State,
    batch::Batch,
    clock::Hold,
    pusher::{FailureKind, Outcome, push},
    route::Route,
    session::Session,
    spool::{Fate, Sealed, Way},
    transport::Pending,
    worker::Worker,
};

/// How long a failed push at shutdown waits for the next try.
const RETRY_WHILE_DRAINING: Duration = Duration::from_millis(500);

/// A push while draining is given up after this, the next one after twice as long, and so on: its
/// circuit may be dead, and there is not much time left.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// A push that runs.
pub(super) struct Pushing {
    id: ParcelId,
    endpoint: Endpoint,
    /// Whether the address may have got something.
    handed: Arc<AtomicBool>,
    /// What becomes of it. Simulated time waits for it.
    outcome: Pending<'static, (Outcome, Option<Hold>)>,
}

impl Life<'_> {
    /// Sends what there is, one after another, for as long as it is taken.
    pub(super) async fn drain(&mut self, mut pushing: Option<Pushing>) {
        self.snapshot();
        self.cut();
        let mut patience = FIRST_PATIENCE;
        loop {
            if pushing.is_none() && self.spool.nothing_to_send() {
                // What had no room before may have it now; chaff alone is not worth a push.
                self.cut_points();
                if self.spool.nothing_to_send() {
                    return;
                }
            }
            let mut push = pushing.take().unwrap_or_else(|| self.push());
            match timeout(patience, &mut push.outcome).await {
                Ok((outcome, _)) => {
                    self.decide(&push, outcome);
                    if let Outcome::Failed(_) | Outcome::Hung(_) = outcome {
                        tokio::time::sleep(RETRY_WHILE_DRAINING).await;
                    }
                }
                // The parcel still waits; if it did arrive, it is known there when it comes again.
                Err(_) => {
                    patience *= 2;
                    self.learn(&push, Outcome::Hung(FailureKind::Endpoint));
                }
            }
        }
    }

    /// Whether the next parcel follows without waiting for a slot.
    pub(super) fn pushes_on(&self, outcome: Outcome) -> bool {
        let backlog = self.worker.profile.sends_backlog_at_once() && !self.spool.nothing_to_send();
        outcome == Outcome::Taken && backlog
    }

    /// Sends the oldest parcel that waits, else chaff: an empty batch like any other.
    pub(super) fn push(&mut self) -> Pushing {
        let Self { session, worker, route, spool, earlier, .. } = self;
        let worker = &**worker;
        let of = |sealed: &Sealed| match &sealed.way {
            Way::Session => route.is_left(sealed.reached.as_ref()),
            Way::Own(own) => own.is_left(sealed.reached.as_ref()),
            Way::Earlier(_) => route.is_left(sealed.reached.as_ref()),
        };
        let chaff = || chaff(worker, session, route);
        let (sealed, wait, kept) = spool.next_or(worker.clock.now(), of, chaff);
        let route = match &sealed.way {
            Way::Session => &*route,
            Way::Own(own) => own,
            Way::Earlier(session) => match earlier.get_mut(session) {
                Some(its) => {
                    its.follow(route);
                    its
                }
                // Each has one.
                None => route,
            },
        };
        let circuit = route.circuit(sealed.reached.as_ref()).clone();
        let (parcel, several) = (sealed.parcel.clone(), route.has_several());
        let (id, endpoint) = (parcel.id(), circuit.endpoint.clone());
        let handed = Arc::new(AtomicBool::new(false));
        let hands = Arc::clone(&handed);
        let reaching = spool.reaching(id, &endpoint);
        self.publish(0);
        let hold = self.worker.clock.hold();
        let transport = Arc::clone(&self.worker.transport);
        let (clock, end) = (self.worker.clock.clone(), self.end);
        let ledger = Arc::clone(&self.worker.ledger);
        let outcome = Box::pin(async move {
            if let Some(kept) = kept {
                kept.wait().await;
            }
            let age = || {
                let now = clock.now();
                wait.age(now).filter(|_| end.is_none_or(|end| now < end))
            };
            // With one address alone there is nothing to be confused by what couldn't be written down.
            let hand_over = async {
                let noted = match reaching {
                    Some(reaching) => reaching.wait().await || !several,
                    None => true,
                };
                hands.store(noted, Ordering::SeqCst);
                noted
            };
            let outcome = push(&*transport, &circuit, &parcel, &ledger, hand_over, age).await;
            (outcome, hold)
        });
        Pushing { id, endpoint, handed, outcome }
    }

    /// Takes note of what became of a push.
    pub(super) fn decide(&mut self, push: &Pushing, outcome: Outcome) {
        self.learn(push, outcome);
        let fate = match outcome {
            Outcome::Taken => Some(Fate::Taken),
            Outcome::Malformed => Some(Fate::Malformed),
            Outcome::Failed(_) | Outcome::Hung(_) => None,
        };
        if let Some(fate) = fate {
            let session = self.spool.remove(push.id, fate);
            // The last parcel of an earlier session takes its circuits with it.
            if let Some(session) = session.filter(|session| !self.spool.has_earlier(*session))
                && let Some(route) = self.earlier.remove(&session)
            {
                route.isolations().for_each(|isolation| self.worker.transport.end(isolation));
            }
        }
        let refuses = self.spool.disk_refuses();
        self.worker.shared.change(|seen| match outcome {
            Outcome::Taken => {
                // What waits is at risk, which is worth more words than that this parcel isn't.
                seen.state = match refuses {
                    true => State::Failing(FailureKind::DataFolder),
                    false => State::Quiet,
                };
                seen.statistics.parcels_sent += 1;
            }
            Outcome::Malformed => {
                seen.state = State::Failing(FailureKind::Refused);
                seen.statistics.parcels_refused += 1;
            }
            Outcome::Failed(kind) | Outcome::Hung(kind) => {
                seen.state = State::Failing(kind);
                seen.statistics.pushes_failed += 1;
            }
        });
        self.publish(0);
    }

    /// What a push says of its way; a circuit that is left behind is ended.
    fn learn(&mut self, push: &Pushing, outcome: Outcome) {
        let handed = push.handed.load(Ordering::SeqCst);
        let undecided = matches!(outcome, Outcome::Failed(_) | Outcome::Hung(_));
        let endpoint = &push.endpoint;
        if undecided {
            self.spool.failed(push.id, handed.then_some(endpoint));
        }
        let left = match self.spool.way(push.id) {
            // Its next try, or the next session's first, has a circuit of its own.
            Some(Way::Own(route)) => {
                route.learn(endpoint, outcome, handed).or_else(|| route.leave(endpoint))
            }
            Some(Way::Earlier(session)) => {
                let session = *session;
                let its = self.earlier.get_mut(&session);
                let left = its.and_then(|route| route.learn(endpoint, outcome, handed));
                if let Some(route) = self.earlier.get(&session) {
                    self.route.follow(route);
                }
                left
            }
            Some(Way::Session) | None => self.route.learn(endpoint, outcome, handed),
        };
        if let Some(left) = left {
            self.worker.transport.end(left);
        }
    }
}

/// An empty batch; with scope `batch` of a session that has nothing else.
fn chaff(worker: &Worker, session: &mut Session, route: &Route) -> Sealed {
    let nothing: Payload = Batch::default().cut().payload;
    if !worker.scope.is_batch() {
        return Sealed::new(session.seal(&nothing), Way::Session);
    }
    let mut alone = worker.session();
    let way = Way::Own(worker.route(&alone).unwrap_or_else(|| route.clone()));
    Sealed::new(alone.seal(&nothing), way)
}

/// The push that runs, if one does; else waits for ever.
pub(super) async fn running(pushing: &mut Option<Pushing>) -> (Outcome, Option<Hold>) {
    match pushing {
        Some(pushing) => (&mut pushing.outcome).await,
        None => std::future::pending().await,
    }
}
