//! One session's life: everything between an instrument and Tor that has memory begins and ends with it.
//! With scope `batch` it is a life of many sessions: each ends when its batch is sealed, and what waits
//! has ways of its own.
//!
//! It does what the schedule says is due, and nothing else moves it. A push runs beside the loop, one at
//! a time, so that a slow Tor delays no snapshot and no cut. A slot that comes while one is still
//! running is lost: a slow ingest side changes no rhythm.

mod sending;

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use undertone_wire::session::SessionId;

use self::sending::{Pushing, running};

use crate::{
    batch::Batch,
    clock::Moment,
    preview::Preview,
    route::Route,
    schedule::{Event, Schedule},
    session::Session,
    snapshot::Snapshots,
    spool::{Sealed, Spool, Way, disk::Restored},
    transport::Isolation,
    worker::{Look, Stop, Worker},
};

/// What belongs to one session alone.
pub(crate) struct Life<'a> {
    worker: &'a mut Worker,
    session: Session,
    route: Route,
    snapshots: Snapshots,
    batch: Batch,
    spool: Spool,
    /// What an earlier process has left on the disk, until it is known.
    restoring: Option<mpsc::UnboundedReceiver<Restored>>,
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
        route: Route,
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
            route,
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
                (outcome, hold) = running(&mut pushing) => {
                    if let Some(push) = pushing.take() {
                        self.decide(&push, outcome);
                    }
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
        let waiting = self.spool.outliving();
        let drops = self.spool.close().await;
        self.worker.drops = self.worker.drops.and(drops);
        let drops = self.worker.drops;
        self.worker.shared.change(|seen| {
            seen.statistics.parcels_waiting = waiting;
            seen.statistics.drops = drops;
        });
        for route in self.earlier.values().chain([&self.route]) {
            route.isolations().for_each(|isolation| self.worker.transport.end(isolation));
        }
    }

    /// What an earlier process left goes first, each of its sessions on circuits of its own (P7).
    fn restore(&mut self, restored: Restored) {
        let endpoints = &self.worker.endpoints;
        for session in self.spool.restore(restored, endpoints, self.worker.clock.now()) {
            let mut randomness = self.worker.clock.randomness();
            let isolation = Isolation::random(&mut randomness);
            if let Some(route) = Route::new(endpoints, isolation, &mut randomness) {
                self.earlier.entry(session).or_insert(route);
            }
        }
        self.publish(0);
    }

    fn snapshot(&mut self) {
        let gate = &mut self.worker.gate;
        let samples = self.snapshots.take(gate.schema());
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
            let own = if alone { self.worker.route(&self.session) } else { None };
            let way = own.map_or(Way::Session, Way::Own);
            self.spool.add(Sealed::new(parcel, way), self.worker.clock.now());
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
            self.spool.add(Sealed::new(parcel, Way::Session), self.worker.clock.now());
        }
        dropped
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

/// What an earlier process left, once it is known; else waits for ever.
async fn restored(restoring: &mut Option<mpsc::UnboundedReceiver<Restored>>) -> Option<Restored> {
    let Some(receiver) = restoring else { return std::future::pending().await };
    let restored = receiver.recv().await;
    if restored.is_none() {
        *restoring = None;
    }
    restored
}
