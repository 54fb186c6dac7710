//! Which circuits there are, by the numbers that a tor gives them. Pure: time is told to it.
//!
//! A number is remembered while a stream of its circuit is open and for some time after, since tor
//! doesn't tell when a circuit ends. It counts them from 1 at each start, so a number belongs to a
//! process. A tor whose process can't be seen (in another container) may have been started again
//! unnoticed: its numbers are forgotten with the last stream, rather than to refuse what is new.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use tokio::time::Instant;

use crate::{
    config::{Limits, count},
    front::Circuit,
};

/// What a circuit is told from others by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CircuitName {
    /// The process of the tor, if that can be seen.
    pub(super) process: Option<i32>,
    /// Its number there.
    pub(super) number: NonZeroU32,
}

/// The circuits that are remembered.
#[derive(Debug)]
pub(super) struct Circuits {
    held: HashMap<CircuitName, Held>,
    limits: Arc<Limits>,
}

#[derive(Debug)]
struct Held {
    circuit: Arc<Circuit>,
    streams: u32,
    /// Whether it had more than one stream: who comes once doesn't push out who comes again.
    again: bool,
    /// When its last stream began or ended.
    used: Instant,
}

impl Circuits {
    /// Remembers as many circuits as the limits say; beyond it, the one that is idle for longest is
    /// forgotten, first of those that had one stream.
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self { held: HashMap::new(), limits }
    }

    /// A stream begins; none if its circuit has as many as it may have, or asked for far too much.
    pub(super) fn open(&mut self, name: CircuitName, now: Instant) -> Option<Arc<Circuit>> {
        if self.held.get(&name).is_some_and(|held| held.is_over(now, &self.limits)) {
            self.held.remove(&name);
        }
        if !self.held.contains_key(&name) && self.held.len() >= count(self.limits.circuits) {
            self.make_room()?;
        }
        let known = self.held.contains_key(&name);
        let held = self.held.entry(name).or_insert_with(|| Held {
            circuit: Arc::default(),
            streams: 0,
            again: false,
            used: now,
        });
        held.again |= known;
        let streams = self.limits.streams_per_circuit;
        if u64::from(held.streams) >= streams || held.circuit.has_ended() {
            return None;
        }
        held.streams += 1;
        held.used = now;
        Some(Arc::clone(&held.circuit))
    }

    /// A stream that [`open`](Self::open) let in has ended.
    pub(super) fn close(&mut self, name: CircuitName, now: Instant) {
        let Some(held) = self.held.get_mut(&name) else { return };
        held.streams = held.streams.saturating_sub(1);
        held.used = now;
        if held.streams == 0 && name.process.is_none() {
            self.held.remove(&name);
        }
    }

    /// Forgets the circuits that have been idle for too long.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        self.held.retain(|_, held| !held.is_over(now, &self.limits));
    }

    /// None if none is idle.
    fn make_room(&mut self) -> Option<()> {
        let idle = self.held.iter().filter(|(_, held)| held.streams == 0);
        let (&longest, _) = idle.min_by_key(|(_, held)| (held.again, held.used))?;
        self.held.remove(&longest).map(drop)
    }
}

impl Held {
    fn is_over(&self, now: Instant, limits: &Limits) -> bool {
        self.streams == 0 && now.duration_since(self.used) >= self.circuit.idle_limit(limits)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use undertone_wire::session::{SessionKey, SessionPublicKey};

    use super::*;

    const STREAMS_PER_CIRCUIT: u64 = 4;
    const PROOF_LIMIT: Duration = Duration::from_secs(60);
    const CIRCUIT_IDLE_LIMIT: Duration = Duration::from_secs(900);
    const MOMENT: Duration = Duration::from_millis(1);

    fn of(circuits: u64) -> Circuits {
        Circuits::new(Arc::new(Limits { circuits, ..Limits::default() }))
    }

    fn name(process: impl Into<Option<i32>>, number: u32) -> CircuitName {
        CircuitName { process: process.into(), number: NonZeroU32::new(number).unwrap() }
    }

    fn session(key: u8) -> SessionPublicKey {
        SessionKey::from_seed(&[key; 32]).public()
    }

    #[test]
    fn p7_a_number_is_one_circuit_until_it_was_idle_for_long() {
        let mut circuits = of(10);
        let begin = Instant::now();
        let first = circuits.open(name(7, 1), begin).unwrap();
        assert!(first.belongs_to(session(1)));
        circuits.close(name(7, 1), begin);

        let almost = begin + CIRCUIT_IDLE_LIMIT - MOMENT;
        circuits.forget_idle(almost);
        let same = circuits.open(name(7, 1), almost).unwrap();
        assert!(!same.belongs_to(session(2)) && same.belongs_to(session(1)));
        let late = almost + CIRCUIT_IDLE_LIMIT * 10;
        circuits.forget_idle(late);
        assert!(!circuits.open(name(7, 1), late).unwrap().belongs_to(session(2)), "one is open");
        circuits.close(name(7, 1), late);
        circuits.close(name(7, 1), late);

        let later = late + CIRCUIT_IDLE_LIMIT;
        assert!(circuits.open(name(7, 1), later).unwrap().belongs_to(session(2)), "not swept yet");
        circuits.close(name(7, 1), later);
        circuits.forget_idle(later + CIRCUIT_IDLE_LIMIT);
        assert!(circuits.held.is_empty());
    }

    #[test]
    fn p7_another_number_or_another_tor_is_another_circuit() {
        let mut circuits = of(10);
        let now = Instant::now();
        for (key, name) in
            [name(7, 1), name(7, 2), name(8, 1), name(None, 1)].into_iter().enumerate()
        {
            let circuit = circuits.open(name, now).unwrap();
            assert!(circuit.belongs_to(session(key as u8)), "{name:?}");
        }
        // Of a tor that may be another one by now, nothing is remembered.
        circuits.close(name(None, 1), now);
        assert!(circuits.open(name(None, 1), now).unwrap().belongs_to(session(9)));
    }

    #[test]
    fn s2_an_unproven_circuit_is_forgotten_sooner() {
        let mut circuits = of(10);
        let begin = Instant::now();
        let _ = circuits.open(name(7, 1), begin);
        circuits.close(name(7, 1), begin);
        circuits.forget_idle(begin + PROOF_LIMIT - MOMENT);
        assert_eq!(circuits.held.len(), 1);
        circuits.forget_idle(begin + PROOF_LIMIT);
        assert!(circuits.held.is_empty());
    }

    #[test]
    fn s2_a_circuit_that_goes_on_asking_too_much_is_ended_until_it_is_forgotten() {
        let limits = Limits {
            requests_per_circuit_per_minute: 60,
            requests_per_circuit_burst: 2,
            circuit_ends_after: 3,
            ..Limits::default()
        };
        let mut circuits = Circuits::new(Arc::new(limits.clone()));
        let begin = Instant::now();
        let mut asked = Vec::new();
        for _ in 0..5 {
            let circuit = circuits.open(name(7, 1), begin).expect("it may still ask");
            asked.push(circuit.may_ask(&limits));
            circuits.close(name(7, 1), begin);
        }
        assert_eq!(asked, [true, true, false, false, false]);
        assert!(circuits.open(name(7, 1), begin).is_none());
        assert!(circuits.open(name(7, 2), begin).is_some(), "others are not concerned");
        assert!(circuits.open(name(7, 1), begin + PROOF_LIMIT).is_some());
    }

    #[test]
    fn s2_circuits_that_come_once_push_out_none_that_came_again() {
        let mut circuits = of(10);
        let begin = Instant::now();
        for _ in 0..2 {
            assert!(circuits.open(name(7, 1), begin).unwrap().belongs_to(session(1)));
            circuits.close(name(7, 1), begin);
        }
        for number in 2..100 {
            let now = begin + MOMENT * number;
            assert!(circuits.open(name(7, number), now).is_some());
            circuits.close(name(7, number), now);
        }
        assert_eq!(circuits.held.len(), 10);
        let same = circuits.open(name(7, 1), begin + MOMENT * 100).unwrap();
        assert!(!same.belongs_to(session(2)), "it is still remembered");
    }

    #[test]
    fn s2_streams_a_circuit_and_circuits_are_bounded() {
        let mut circuits = of(2);
        let now = Instant::now();
        let open = |circuits: &mut Circuits, number, later: u32| {
            circuits.open(name(7, number), now + MOMENT * later).is_some()
        };
        for _ in 0..STREAMS_PER_CIRCUIT {
            assert!(open(&mut circuits, 1, 0));
        }
        assert!(!open(&mut circuits, 1, 0));
        circuits.close(name(7, 1), now);
        assert!(open(&mut circuits, 1, 0));

        assert!(open(&mut circuits, 2, 1));
        assert!(!open(&mut circuits, 3, 2), "both have open streams");
        circuits.close(name(7, 2), now + MOMENT * 3);
        assert!(open(&mut circuits, 3, 4), "the idle one makes room");
        let mut held: Vec<u32> = circuits.held.keys().map(|name| name.number.get()).collect();
        held.sort_unstable();
        assert_eq!(held, [1, 3]);
    }
}
