//! The agent's one task: it does what the schedule says is due, and nothing else moves it.
//!
//! A push runs beside the loop, one at a time, so that a slow Tor delays no snapshot and no cut. A
//! slot that comes while one is still running is lost: a slow ingest side changes no rhythm.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use undertone_wire::{endpoint::Endpoint, parcel::ParcelId};

use crate::{
    agent::{State, Statistics},
    batch::Batch,
    clock::{Clock, Hold},
    gate::Gate,
    points::Inbox,
    profile::Profile,
    pusher::{FailureKind, Outcome, push},
    schedule::{Event, Schedule},
    session::Session,
    snapshot::Snapshots,
    spool::Spool,
    transport::{Connect, Pending},
};

/// After so many pushes in a row that failed, Tor is asked for everything anew.
const FAILURES_LIMIT: u32 = 5;

/// How long a failed push at shutdown waits for the next try.
const RETRY_WHILE_DRAINING: Duration = Duration::from_millis(500);

/// A push that runs: which parcel, and what becomes of it. Simulated time waits for it.
type Pushing = Pending<'static, (ParcelId, Outcome, Option<Hold>)>;

/// Everything that happens between an instrument and Tor.
pub(crate) struct Worker {
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: Arc<dyn Connect>,
    pub(crate) snapshots: Snapshots,
    pub(crate) gate: Gate,
    pub(crate) batch: Batch,
    pub(crate) inbox: Inbox,
    pub(crate) session: Session,
    pub(crate) spool: Spool,
    pub(crate) schedule: Schedule,
    pub(crate) shared: Arc<Shared>,
    pub(crate) failures: Failures,
}

/// What went wrong since a push was last answered.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Pushes that failed since the circuit was last given up.
    in_a_row: u32,
    /// Pushes that hung.
    hung: u32,
}

/// What the host may see of the worker.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    statistics: Mutex<Statistics>,
}

/// The request to stop; answered when what had to be done is done.
pub(crate) struct Stop(pub(crate) std::sync::mpsc::Sender<()>);

impl Worker {
    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, mut stop: mpsc::Receiver<Stop>) {
        let mut pushing: Option<Pushing> = None;
        let warm_up = Arc::clone(&self.transport);
        tokio::spawn(async move { warm_up.warm_up().await });
        let stop = loop {
            let (moment, event) = self.schedule.next();
            tokio::select! {
                biased;
                stop = stop.recv() => break stop,
                (id, outcome, hold) = running(&mut pushing) => {
                    self.decide(id, outcome);
                    drop(hold);
                    pushing = self.pushes_on(outcome).then(|| self.push());
                }
                () = self.clock.sleep_until(moment) => {
                    let now = self.clock.now();
                    match event {
                        Event::Tick => self.snapshots.tick(),
                        Event::Snapshot => self.snapshot(),
                        Event::Cut => self.cut(),
                        Event::Slot if pushing.is_none() => pushing = Some(self.push()),
                        Event::Slot => {}
                    }
                    self.schedule.done(event, now);
                }
            }
        };
        if self.profile.drains_at_shutdown() {
            self.drain(pushing).await;
        }
        if let Some(Stop(done)) = stop {
            // Whoever asked may have given up waiting.
            let _ = done.send(());
        }
    }

    /// Sends what there is, one after another, for as long as it is taken.
    async fn drain(&mut self, mut pushing: Option<Pushing>) {
        self.snapshot();
        self.cut();
        loop {
            if pushing.is_none() && self.spool.len() == 0 {
                // What had no room before may have it now; chaff alone is not worth a push.
                self.cut_points();
                if self.spool.len() == 0 {
                    return;
                }
            }
            let (id, outcome, _) = match pushing.take() {
                Some(pushing) => pushing.await,
                None => self.push().await,
            };
            self.decide(id, outcome);
            if let Outcome::Failed(_) | Outcome::Hung(_) = outcome {
                tokio::time::sleep(RETRY_WHILE_DRAINING).await;
            }
        }
    }

    fn snapshot(&mut self) {
        let samples = self.snapshots.take();
        let declared = samples.into_iter().filter_map(|sample| self.gate.pass(sample)).collect();
        self.batch.add(declared);
        let refused = self.gate.refused().values().sum();
        self.publish(|statistics, _| statistics.readings_refused = refused);
    }

    fn cut(&mut self) {
        let cut = self.batch.cut();
        let parcel = self.session.seal(&cut.payload);
        self.spool.add(parcel, self.clock.now());
        let dropped = cut.dropped + self.cut_points();
        let refused = self.gate.refused().values().sum();
        self.publish(|statistics, spool| {
            statistics.series_dropped += dropped as u64;
            statistics.readings_refused = refused;
            statistics.parcels_waiting = spool.len();
            statistics.parcels_dropped = spool.dropped();
        });
    }

    /// Seals points from elsewhere, as far as there is room, and returns how many were too large. Those
    /// that find no room stay where they wait, so that who hands over more is told.
    fn cut_points(&mut self) -> usize {
        let mut dropped = 0;
        while self.spool.has_room()
            && let Some(cut) = self.inbox.cut(&mut self.gate)
        {
            dropped += cut.dropped;
            let parcel = self.session.seal(&cut.payload);
            self.spool.add(parcel, self.clock.now());
        }
        dropped
    }

    /// Whether the next parcel follows without waiting for a slot.
    fn pushes_on(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Taken && self.profile.sends_backlog_at_once() && self.spool.len() > 0
    }

    /// Sends the oldest parcel that waits, else chaff: an empty batch like any other.
    fn push(&mut self) -> Pushing {
        let session = &mut self.session;
        let (parcel, age) = self
            .spool
            .oldest_or(self.clock.now(), || session.seal(&Batch::default().cut().payload));
        self.publish(|statistics, spool| {
            statistics.parcels_waiting = spool.len();
            statistics.parcels_dropped = spool.dropped();
        });
        let hold = self.clock.hold();
        let transport = Arc::clone(&self.transport);
        let (endpoint, isolation) = (self.endpoint.clone(), self.session.isolation);
        let hung = self.failures.hung;
        Box::pin(async move {
            let outcome = push(&*transport, &endpoint, isolation, &parcel, age, hung).await;
            (parcel.id(), outcome, hold)
        })
    }

    fn decide(&mut self, id: ParcelId, outcome: Outcome) {
        match outcome {
            Outcome::Taken => {
                self.spool.remove(id);
                self.shared.enter(State::Quiet);
            }
            Outcome::Malformed => {
                self.spool.remove(id);
                self.shared.enter(State::Failing(FailureKind::Refused));
            }
            Outcome::Failed(kind) | Outcome::Hung(kind) => {
                self.shared.enter(State::Failing(kind));
            }
        }
        self.give_up_circuit(outcome);
        self.publish(|statistics, spool| {
            statistics.parcels_waiting = spool.len();
            match outcome {
                Outcome::Taken => statistics.parcels_sent += 1,
                Outcome::Malformed => statistics.parcels_refused += 1,
                Outcome::Failed(_) | Outcome::Hung(_) => statistics.pushes_failed += 1,
            }
        });
    }

    /// Leaves behind what doesn't work: the next push finds descriptor and circuit anew.
    ///
    /// arti waits ten minutes for the answer to an introduction that died with the proxy, and asks a
    /// directory for the same descriptor once in fifteen; new attempts would join the old (decision
    /// 0010).
    fn give_up_circuit(&mut self, outcome: Outcome) {
        let Failures { in_a_row, hung } = &mut self.failures;
        match outcome {
            Outcome::Taken | Outcome::Malformed => self.failures = Failures::default(),
            Outcome::Failed(_) if *in_a_row + 1 < FAILURES_LIMIT => *in_a_row += 1,
            Outcome::Failed(_) | Outcome::Hung(_) => {
                *in_a_row = 0;
                *hung += u32::from(matches!(outcome, Outcome::Hung(_)));
                self.session.isolation = self.session.isolation.next();
            }
        }
    }

    fn publish(&self, change: impl FnOnce(&mut Statistics, &Spool)) {
        let mut statistics = self.shared.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut statistics, &self.spool);
    }
}

/// The push that runs, if one does; else waits for ever.
async fn running(pushing: &mut Option<Pushing>) -> (ParcelId, Outcome, Option<Hold>) {
    match pushing {
        Some(pushing) => pushing.await,
        None => std::future::pending().await,
    }
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), statistics: Mutex::default() }
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn statistics(&self) -> Statistics {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
