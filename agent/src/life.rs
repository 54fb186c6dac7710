//! One session's life: everything between an instrument and Tor that has memory begins and ends with it.
//!
//! It does what the schedule says is due, and nothing else moves it. A push runs beside the loop, one at
//! a time, so that a slow Tor delays no snapshot and no cut. A slot that comes while one is still
//! running is lost: a slow ingest side changes no rhythm.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use undertone_wire::{endpoint::Endpoint, parcel::ParcelId};

use crate::{
    agent::State,
    batch::Batch,
    clock::{Hold, Moment},
    preview::Preview,
    pusher::{FailureKind, Outcome, push},
    schedule::{Event, Schedule},
    session::Session,
    snapshot::Snapshots,
    spool::Spool,
    transport::Pending,
    worker::{Look, Stop, Worker},
};

/// After so many pushes in a row that failed, Tor is asked for everything anew.
const FAILURES_LIMIT: u32 = 5;

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
    endpoint: Endpoint,
    snapshots: Snapshots,
    batch: Batch,
    spool: Spool,
    schedule: Schedule,
    failures: Failures,
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

/// What went wrong since a push was last answered.
#[derive(Debug, Default)]
struct Failures {
    /// Pushes that failed since the circuit was last given up.
    in_a_row: u32,
    /// Pushes that hung.
    hung: u32,
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
            worker.profile.rhythm(),
            worker.clock.randomness(),
        );
        Self {
            snapshots: Snapshots::new(worker.registry.clone(), worker.interval),
            worker,
            session,
            endpoint,
            batch: Batch::default(),
            spool: Spool::default(),
            schedule,
            failures: Failures::default(),
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
        self.end();
        ended
    }

    /// What would go out now. Nothing changes for it.
    fn preview(&self) -> Preview {
        let Worker { inbox, gate, .. } = &*self.worker;
        Preview::of_session(self.session.id(), &self.spool, &self.batch, inbox, gate)
    }

    /// What is unsent is gone, and counted (invariant P10); the circuit is ended (P7).
    fn end(self) {
        let gone = self.spool.dropped() + self.spool.len() as u64;
        self.worker.parcels_dropped += gone;
        let dropped = self.worker.parcels_dropped;
        self.worker.shared.change(|seen| {
            seen.statistics.parcels_waiting = 0;
            seen.statistics.parcels_dropped = dropped;
        });
        self.worker.transport.end(self.session.isolation);
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
                    self.give_up_circuit(Outcome::Hung(FailureKind::Endpoint));
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
        let nothing = self.batch.is_empty();
        let cut = self.batch.cut();
        // Where emptiness need not be hidden, it must not take the place of what waits.
        if !nothing || self.worker.profile.cuts_when_empty() {
            let parcel = self.session.seal(&cut.payload);
            self.spool.add(parcel, self.worker.clock.now());
        }
        let dropped = cut.dropped + self.cut_points();
        self.publish(dropped);
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
            self.spool.add(parcel, self.worker.clock.now());
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
        let session = &mut self.session;
        let (parcel, age) = self
            .spool
            .oldest_or(self.worker.clock.now(), || session.seal(&Batch::default().cut().payload));
        self.publish(0);
        let hold = self.worker.clock.hold();
        let transport = Arc::clone(&self.worker.transport);
        let (endpoint, isolation) = (self.endpoint.clone(), self.session.isolation);
        let (hung, ledger) = (self.failures.hung, Arc::clone(&self.worker.ledger));
        Box::pin(async move {
            let what = (&parcel, age);
            let outcome = push(&*transport, &endpoint, isolation, what, hung, &ledger).await;
            (parcel.id(), outcome, hold)
        })
    }

    fn decide(&mut self, id: ParcelId, outcome: Outcome) {
        if let Outcome::Taken | Outcome::Malformed = outcome {
            self.spool.remove(id);
        }
        self.give_up_circuit(outcome);
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
                self.worker.transport.end(self.session.isolation);
                self.session.isolation = self.session.isolation.next();
            }
        }
    }

    /// Shows the host how things are, and that so many more series found no room.
    fn publish(&self, series_dropped: usize) {
        let refused = self.worker.gate.refused().values().sum();
        let dropped = self.worker.parcels_dropped + self.spool.dropped();
        self.worker.shared.change(|seen| {
            seen.statistics.series_dropped += series_dropped as u64;
            seen.statistics.readings_refused = refused;
            seen.statistics.parcels_waiting = self.spool.len();
            seen.statistics.parcels_dropped = dropped;
        });
    }
}

/// The push that runs, if one does; else waits for ever.
async fn running(pushing: &mut Option<Pushing>) -> (ParcelId, Outcome, Option<Hold>) {
    match pushing {
        Some(pushing) => pushing.await,
        None => std::future::pending().await,
    }
}
