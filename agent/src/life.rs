//! One session's life: everything between an instrument and Tor that has memory begins and ends with it.
//! With scope `batch` it is a life of many sessions: each ends when its batch is sealed, and what waits
//! has ways of its own.
//!
//! It does what the schedule says is due, and nothing else moves it. A push runs beside the loop, one at
//! a time, so that a slow Tor delays no snapshot and no cut. A slot that comes while one is still
//! running is lost: a slow ingest side changes no rhythm.

use std::{sync::Arc, time::Duration};

use std::collections::BTreeMap;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use undertone_wire::{batch::Payload, endpoint::Endpoint, parcel::ParcelId, session::SessionId};

use crate::{
    agent::State,
    batch::Batch,
    clock::{Hold, Moment},
    preview::Preview,
    pusher::{FailureKind, Outcome, push},
    route::Route,
    schedule::{Event, Schedule},
    session::Session,
    snapshot::Snapshots,
    spool::{Sealed, Spool, Way, disk::Restored},
    transport::{Isolation, Pending},
    worker::{Look, Stop, Worker},
};

/// How long a failed push at shutdown waits for the next try.
const RETRY_WHILE_DRAINING: Duration = Duration::from_millis(500);

/// A push while draining is given up after this, the next one after twice as long, and so on: its
/// circuit may be dead, and there is not much time left.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// A push that runs: which parcel, and what becomes of it. Simulated time waits for it.
type Pushing = Pending<'static, (ParcelId, Outcome, Option<Hold>)>;

/// What belongs to one session alone.
pub(crate) struct Life<'a> {
    worker: &'a mut Worker,
    session: Session,
    route: Route,
    snapshots: Snapshots,
    batch: Batch,
    spool: Spool,
    /// What an earlier process has left on the disk, until it is known.
    restoring: Option<oneshot::Receiver<Restored>>,
    /// The ways of its sessions, whose parcels are sent as they are.
    earlier: BTreeMap<SessionId, Route>,
    schedule: Schedule,
    /// When it is over; never, if sessions last as long as their agent.
    end: Option<Moment>,
}

/// How a life ended.
pub(crate) enum Ended {
    /// Its time was over.
    Over,
    /// The agent was told to stop, by this request; none where the agent itself is gone.
    Stopped(Option<Stop>),
}

impl<'a> Life<'a> {
    /// Begins a session's life.
    pub(crate) fn begin(
        worker: &'a mut Worker,
        session: Session,
        endpoint: Endpoint,
        end: Option<Moment>,
    ) -> Self {
        let schedule = Schedule::new(
            worker.clock.now(),
            worker.interval,
            worker.profile.rhythm(worker.scope),
            worker.clock.randomness(),
        );
        let spool = Spool::new(worker.parcel_age);
        let (spool, restoring) = match worker.disk.take() {
            Some((disk, restoring)) => (spool.on(disk), Some(restoring)),
            None => (spool, None),
        };
        Self {
            snapshots: Snapshots::new(worker.registry.clone(), worker.interval),
            spool,
            restoring,
            earlier: BTreeMap::new(),
            route: Route::new(endpoint, session.isolation),
            worker,
            session,
            batch: Batch::default(),
            schedule,
            end,
        }
    }

    /// Lives until its time is over, or until the agent is told to stop.
    pub(crate) async fn run(mut self, stop: &mut mpsc::Receiver<Stop>) -> Ended {
        let mut pushing: Option<Pushing> = None;
        let ended = loop {
            let (moment, event) = self.schedule.next();
            let moment = self.end.map_or(moment, |end| end.min(moment));
            tokio::select! {
                biased;
                stop = stop.recv() => break Ended::Stopped(stop),
                (id, outcome, hold) = running(&mut pushing) => {
                    self.decide(id, outcome);
                    drop(hold);
                    pushing = self.pushes_on(outcome).then(|| self.push());
                }
                Some(restored) = restored(&mut self.restoring) => self.restore(restored),
                Some(Look(answer)) = self.worker.looks.recv() => {
                    // Whoever asked may have given up waiting.
                    let _ = answer.send(self.preview());
                }
                () = self.worker.clock.sleep_until(moment) => {
                    let now = self.worker.clock.now();
                    // Also when the machine has slept over it: nothing is done afterwards.
                    if self.end.is_some_and(|end| end <= now) {
                        break Ended::Over;
                    }
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
        let stopped = matches!(ended, Ended::Stopped(_));
        if stopped && self.worker.profile.drains_at_shutdown() {
            self.drain(pushing).await;
        }
        self.end().await;
        ended
    }

    /// What would go out now. Nothing changes for it.
    fn preview(&self) -> Preview {
        let Worker { inbox, gate, scope, .. } = &*self.worker;
        let mut batch = self.batch.clone();
        if scope.is_batch() {
            batch.merge_all();
        }
        Preview::of_session(self.session.id(), &self.spool, batch, inbox, gate)
    }

    /// What is unsent is gone, and counted (invariant P10), or it waits on the disk; the circuits are ended
    /// (P7).
    async fn end(self) {
        let waiting = if self.spool.outlives_the_process() { self.spool.len() } else { 0 };
        let drops = self.spool.close().await;
        self.worker.drops = self.worker.drops.and(drops);
        let drops = self.worker.drops;
        self.worker.shared.change(|seen| {
            seen.statistics.parcels_waiting = waiting;
            seen.statistics.drops = drops;
        });
        for route in self.earlier.values().chain([&self.route]) {
            self.worker.transport.end(route.isolation);
        }
    }

    /// What an earlier process left goes first, each of its sessions on circuits of its own (P7).
    fn restore(&mut self, restored: Restored) {
        for session in self.spool.restore(restored, self.worker.clock.now()) {
            let isolation = Isolation::random(&mut self.worker.clock.randomness());
            let route = Route::new(self.route.endpoint.clone(), isolation);
            self.earlier.entry(session).or_insert(route);
        }
        self.publish(0);
    }

    /// Sends what there is, one after another, for as long as it is taken.
    async fn drain(&mut self, mut pushing: Option<Pushing>) {
        self.snapshot();
        self.cut();
        let mut patience = FIRST_PATIENCE;
        loop {
            if pushing.is_none() && self.spool.len() == 0 {
                // What had no room before may have it now; chaff alone is not worth a push.
                self.cut_points();
                if self.spool.len() == 0 {
                    return;
                }
            }
            let push = pushing.take().unwrap_or_else(|| self.push());
            match timeout(patience, push).await {
                Ok((id, outcome, _)) => {
                    self.decide(id, outcome);
                    if let Outcome::Failed(_) | Outcome::Hung(_) = outcome {
                        tokio::time::sleep(RETRY_WHILE_DRAINING).await;
                    }
                }
                // The parcel still waits; if it did arrive, it is known there when it comes again.
                Err(_) => {
                    patience *= 2;
                    if let Some(left) = self.route.learn(Outcome::Hung(FailureKind::Endpoint)) {
                        self.worker.transport.end(left);
                    }
                }
            }
        }
    }

    fn snapshot(&mut self) {
        let samples = self.snapshots.take();
        let gate = &mut self.worker.gate;
        self.batch.add(samples.into_iter().filter_map(|sample| gate.pass(sample)).collect());
        self.publish(0);
    }

    fn cut(&mut self) {
        let alone = self.worker.scope.is_batch();
        if alone {
            // One reading of each instrument, up to now: nothing says when it began (decision 0017).
            self.snapshot();
            self.batch.merge_all();
        }
        let nothing = self.batch.is_empty();
        let cut = self.batch.cut();
        // Where emptiness need not be hidden, it must not take the place of what waits.
        if !nothing || self.worker.profile.cuts_when_empty() {
            let parcel = self.session.seal(&cut.payload);
            let way = match alone {
                true => Way::Own(self.worker.route(&self.session, &self.route)),
                false => Way::Session,
            };
            self.spool.add(Sealed { parcel, way }, self.worker.clock.now());
        }
        let dropped = cut.dropped + self.cut_points();
        if alone {
            self.renew();
        } else if self.end.is_none() && self.worker.take_schema() {
            // A session that lasts as long as its agent has no rotation to wait for.
            self.snapshots.change_interval(self.worker.interval);
            self.schedule.renew(self.worker.clock.now(), self.worker.interval);
        }
        self.publish(dropped);
    }

    /// The next batch has another session, and nothing of what the one before remembered.
    fn renew(&mut self) {
        self.session = self.worker.session();
        let id = self.session.id();
        self.worker.shared.change(|seen| seen.session = Some(id));
        self.worker.registry.reset();
        self.worker.take_schema();
        self.snapshots = Snapshots::new(self.worker.registry.clone(), self.worker.interval);
        self.batch = Batch::default();
        self.schedule.renew(self.worker.clock.now(), self.worker.interval);
    }

    /// Seals points from elsewhere, as far as there is room, and returns how many were too large. Those
    /// that find no room stay where they wait, so that who hands over more is told.
    fn cut_points(&mut self) -> usize {
        let mut dropped = 0;
        while self.spool.has_room()
            && let Some(cut) = self.worker.inbox.cut(&mut self.worker.gate)
        {
            dropped += cut.dropped;
            let parcel = self.session.seal(&cut.payload);
            self.spool.add(Sealed { parcel, way: Way::Session }, self.worker.clock.now());
        }
        dropped
    }

    /// Whether the next parcel follows without waiting for a slot.
    fn pushes_on(&self, outcome: Outcome) -> bool {
        let backlog = self.worker.profile.sends_backlog_at_once() && self.spool.len() > 0;
        outcome == Outcome::Taken && backlog
    }

    /// Sends the oldest parcel that waits, else chaff: an empty batch like any other.
    fn push(&mut self) -> Pushing {
        let (session, worker, route) = (&mut self.session, &*self.worker, &self.route);
        let (sealed, wait, kept) =
            self.spool.oldest_or(worker.clock.now(), || chaff(worker, session, route));
        let route = match &sealed.way {
            Way::Session => route,
            Way::Own(route) => route,
            Way::Earlier(session) => self.earlier.get(session).unwrap_or(route),
        };
        let (parcel, route) = (sealed.parcel.clone(), route.clone());
        self.publish(0);
        let hold = self.worker.clock.hold();
        let transport = Arc::clone(&self.worker.transport);
        let (clock, end) = (self.worker.clock.clone(), self.end);
        let ledger = Arc::clone(&self.worker.ledger);
        Box::pin(async move {
            if let Some(kept) = kept {
                kept.wait().await;
            }
            let age = || {
                let now = clock.now();
                wait.age(now).filter(|_| end.is_none_or(|end| now < end))
            };
            let outcome = push(&*transport, &route, &parcel, &ledger, age).await;
            (parcel.id(), outcome, hold)
        })
    }

    fn decide(&mut self, id: ParcelId, outcome: Outcome) {
        let mut session = None;
        let left = match self.spool.way(id) {
            // Its next try, or the next session's first, has a circuit of its own.
            Some(Way::Own(route)) => {
                let left = route.learn(outcome);
                Some(left.unwrap_or_else(|| route.leave()))
            }
            Some(Way::Earlier(earlier)) => {
                session = Some(*earlier);
                self.earlier.get_mut(earlier).and_then(|route| route.learn(outcome))
            }
            Some(Way::Session) | None => self.route.learn(outcome),
        };
        if let Some(left) = left {
            self.worker.transport.end(left);
        }
        if let Outcome::Taken | Outcome::Malformed = outcome {
            self.spool.remove(id);
        }
        if let Some(session) = session.filter(|session| !self.spool.has_earlier(*session))
            && let Some(route) = self.earlier.remove(&session)
        {
            self.worker.transport.end(route.isolation);
        }
        self.worker.shared.change(|seen| match outcome {
            Outcome::Taken => {
                seen.state = State::Quiet;
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

    /// Shows the host how things are, and that so many more series found no room.
    fn publish(&self, series_dropped: usize) {
        let refused = self.worker.gate.refused().values().sum();
        let drops = self.worker.drops.and(self.spool.drops());
        let in_memory_alone = self.spool.disk_refuses();
        self.worker.shared.change(|seen| {
            seen.statistics.series_dropped += series_dropped as u64;
            seen.statistics.readings_refused = refused;
            seen.statistics.parcels_waiting = self.spool.len();
            seen.statistics.drops = drops;
            seen.statistics.disk_refuses = in_memory_alone;
        });
    }
}

/// An empty batch; with scope `batch` of a session that has nothing else.
fn chaff(worker: &Worker, session: &mut Session, route: &Route) -> Sealed {
    let nothing: Payload = Batch::default().cut().payload;
    if !worker.scope.is_batch() {
        return Sealed { parcel: session.seal(&nothing), way: Way::Session };
    }
    let mut alone = worker.session();
    Sealed { parcel: alone.seal(&nothing), way: Way::Own(worker.route(&alone, route)) }
}

/// What an earlier process left, once it is known; else waits for ever.
async fn restored(restoring: &mut Option<oneshot::Receiver<Restored>>) -> Option<Restored> {
    let Some(receiver) = restoring else { return std::future::pending().await };
    let restored = receiver.await.ok();
    *restoring = None;
    restored
}

/// The push that runs, if one does; else waits for ever.
async fn running(pushing: &mut Option<Pushing>) -> (ParcelId, Outcome, Option<Hold>) {
    match pushing {
        Some(pushing) => pushing.await,
        None => std::future::pending().await,
    }
}
