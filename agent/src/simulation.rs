//! An agent that lives weeks in a second, for measuring privacy; nothing in it reaches a network.
//!
//! Gate, session, schedule, batch, spool and the request itself are those that every agent runs. Only time and
//! Tor are replaced: time jumps from one event to the next, and requests go to a [`World`] in this process.
//! Everything happens on the calling thread, and the seed decides every draw.

mod link;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{Notify, mpsc},
};
use undertone_instruments::Registry;
use undertone_wire::{endpoint::Ingest, schema::Schema};

use crate::{
    agent::State,
    clock::Clock,
    gate::Gate,
    ledger::{Book, Ledger},
    points::Inbox,
    profile::Profile,
    scope::Scope,
    session::Session,
    spool::Drops,
    worker::{Shared, Worker},
};

/// What a simulated agent lives in: the program that it measures, and all that a push can meet.
pub trait World: Send + 'static {
    /// Time has come to `now`, which counts from the agent's start: what the program did meanwhile is to
    /// be recorded. Moments never go back.
    fn pass(&mut self, now: Duration);

    /// Whether the ingest side can be reached now.
    fn reachable(&mut self, now: Duration) -> bool;

    /// Takes a request, head and body, that came through the circuit of this number.
    fn take(&mut self, now: Duration, circuit: u128, request: &[u8]);
}

/// One run of an agent, from its start to its end.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// What may leave.
    pub schema: Schema,
    /// For whom it measures.
    pub profile: Profile,
    /// How long sessions last, in [`Profile::Anonymous`].
    pub scope: Scope,
    /// Where parcels would go; decides what they are sealed for.
    pub ingest: Ingest,
    /// Decides every draw.
    pub seed: u64,
    /// When the agent is killed, after its start.
    pub end: Duration,
}

impl Simulation {
    /// Lives it through, with the instruments of `registry`, and gives the world back.
    ///
    /// # Errors
    /// If no runtime can be made.
    pub fn run<W: World>(self, registry: &Registry, world: W) -> io::Result<W> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let world = Arc::new(Mutex::new(Some(world)));
        let (over, passing) = (Arc::new(Notify::new()), Arc::clone(&world));
        let clock = Clock::jumping(self.seed, self.end, Arc::clone(&over), move |now| {
            if let Some(world) = lock(&passing).as_mut() {
                world.pass(now);
            }
        });
        let first = match self.profile.rotation(self.scope) {
            Some(_) => None,
            None => Some(Session::new(self.ingest.deployment, &clock)),
        };
        let (_, looks) = mpsc::channel(1);
        let worker = Worker {
            profile: self.profile,
            scope: self.scope,
            deployment: self.ingest.deployment,
            endpoints: self.ingest.endpoints,
            transport: Arc::new(link::Link::new(clock.clone(), Arc::clone(&world))),
            registry: registry.clone(),
            interval: self.schema.interval(),
            gate: Gate::new(Arc::new(self.schema)),
            inbox: Inbox::new().0,
            ledger: Book::new(Ledger::Memory, None, clock.clone()),
            looks,
            clock,
            shared: Arc::new(Shared::new(State::Silent, first.as_ref().map(Session::id))),
            parcel_age: self.profile.parcel_age(self.scope),
            disk: None,
            drops: Drops::default(),
        };
        let (_running, stopped) = mpsc::channel(1);
        // A future that never waits for anything but itself must not be made to yield.
        runtime.block_on(tokio::task::unconstrained(async {
            tokio::select! {
                biased;
                () = over.notified() => {}
                () = worker.run(first, stopped) => {}
            }
        }));
        drop(runtime);
        let world = lock(&world).take();
        world.ok_or_else(|| io::Error::other("the simulated world is gone"))
    }
}

fn lock<W>(world: &Mutex<Option<W>>) -> MutexGuard<'_, Option<W>> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use undertone_wire::{parcel, request::REQUEST_LENGTH};

    use super::*;
    use crate::{Counter, Instruments};

    crate::instruments! {
        struct Metrics in "app" {
            /// Requests.
            requests: Counter,
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    struct Recorded {
        requests: Counter,
        counted: u64,
        seen: Vec<(Duration, u128, Vec<u8>)>,
    }

    impl World for Recorded {
        fn pass(&mut self, now: Duration) {
            let counted = now.as_secs() / 10;
            self.requests.inc_by((counted - self.counted) as i64);
            self.counted = counted;
        }

        fn reachable(&mut self, now: Duration) -> bool {
            !(20 * HOUR..21 * HOUR).contains(&now)
        }

        fn take(&mut self, now: Duration, circuit: u128, request: &[u8]) {
            self.seen.push((now, circuit, request.to_vec()));
        }
    }

    fn days(days: u32) -> Vec<(Duration, u128, Vec<u8>)> {
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
        let registry = Registry::new();
        let requests = Metrics::register(&registry).unwrap().requests;
        let simulation = Simulation {
            schema: Metrics::DECLARATION.try_into().unwrap(),
            profile: Profile::Anonymous,
            scope: Scope::default(),
            ingest: onion.parse().unwrap(),
            seed: 1,
            end: HOUR * 24 * days,
        };
        let deployment = simulation.ingest.deployment;
        let world = Recorded { requests, counted: 0, seen: Vec::new() };
        let seen = simulation.run(&registry, world).unwrap().seen;
        for (_, _, request) in &seen {
            assert_eq!(request.len(), REQUEST_LENGTH);
            let body = &request[request.len() - undertone_wire::request::BODY_LENGTH..];
            assert!(parcel::unseal(body, &deployment).is_ok());
        }
        seen
    }

    #[test]
    fn a_simulated_agent_is_the_real_one_and_a_seed_repeats_it() {
        let seen = days(2);
        assert!((700..1_100).contains(&seen.len()), "{} pushes in two days", seen.len());
        assert!(!seen.iter().any(|(at, ..)| (20 * HOUR..21 * HOUR).contains(at)), "an outage");
        assert!(seen.is_sorted_by_key(|(at, ..)| *at));
        assert_eq!(days(2), seen);
    }
}
