//! The line of circuits whose sessions wait for a place.
//!
//! A circuit brings one session at most (invariant P7), so the line has as many as there are circuits. It is in the
//! order in which they first came, and one comes into it by coming again after a while. So a place
//! costs a circuit that is held and used for that long, and whoever waits has in front of them at most
//! those circuits that were there before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use undertone_wire::session::SessionId;

use crate::front::Circuit;

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<Ticket, Waiting>,
    tickets: u64,
}

/// A place in the order: when a circuit first came, and what tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    since: Duration,
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    session: SessionId,
    /// Gone with its last stream, where the front knows that.
    circuit: Weak<Circuit>,
    seen: Duration,
}

impl Line {
    /// A circuit has brought a session that has no place. It is in the line from when it comes
    /// `again` after it first came, unless there are `limit` already.
    pub(super) fn came(
        &mut self,
        session: SessionId,
        circuit: &Arc<Circuit>,
        now: Duration,
        again: Duration,
        limit: usize,
    ) {
        let number = self.tickets;
        let ticket = circuit.ticket(Ticket { since: now, number });
        if ticket.number == number {
            self.tickets += 1;
        }
        if let Some(waiting) = self.waiting.get_mut(&ticket) {
            waiting.seen = now;
        } else if now >= ticket.since + again {
            if self.waiting.len() >= limit {
                self.waiting.retain(|_, waiting| waiting.circuit.strong_count() > 0);
            }
            if self.waiting.len() < limit {
                let circuit = Arc::downgrade(circuit);
                self.waiting.insert(ticket, Waiting { session, circuit, seen: now });
            }
        }
    }

    /// Who is first, of those that are there and came within their `patience`.
    pub(super) fn first(&mut self, now: Duration, patience: Duration) -> Option<SessionId> {
        loop {
            let first = self.waiting.first_entry()?;
            let waiting = first.get();
            if waiting.circuit.strong_count() > 0 && now < waiting.seen + patience {
                return Some(waiting.session);
            }
            first.remove();
        }
    }

    pub(super) fn remove_first(&mut self) {
        self.waiting.pop_first();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
