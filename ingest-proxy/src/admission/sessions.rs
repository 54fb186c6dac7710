//! Which sessions are known, and which new ones get a place (invariant S2). Pure: time is told to it.
//!
//! A known session never competes with new ones. Of those, so many an hour get a place; while places are
//! scarce, they go to circuits in the order in which they came, once they have come again after a
//! while. A session has so many series, and so many new ones an hour are given to all of them, a
//! part of which is kept for each session that is new. What is known survives restarts, in the queue's
//! file, and is forgotten some time after a session was last heard of.

mod known;
mod line;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use undertone_wire::session::SessionId;

pub(crate) use self::{known::SeriesHash, line::Ticket};
use self::{
    known::{Kept, Known},
    line::Line,
};
use crate::{config::Limits, front::Circuit, queue::SessionRecord, rate::Used};

/// The moment at which a process begins, so that what was before it has a time, too.
pub(super) const BEGINNING: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Between two looks for sessions that are to be forgotten.
const SWEEP: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What is known of sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    limits: Arc<Limits>,
    known: HashMap<SessionId, Known>,
    /// All series of `known`.
    series: u64,
    line: Line,
    new_sessions: Used,
    new_series: Used,
    swept: Duration,
    /// Those that got a place and are in no commit yet.
    unwritten: Vec<SessionId>,
}

/// Too much of a session for now: its parcel is not decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMuch {
    /// Points in the last time.
    Points,
    /// Parcels whose IDs are remembered.
    Parcels,
}

/// How many there are, for the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SessionCounts {
    pub(crate) known: u64,
    pub(crate) series: u64,
    /// Circuits whose sessions wait for a place.
    pub(crate) waiting: u64,
    /// New sessions that would get a place at once.
    pub(crate) places: u64,
}

impl Sessions {
    /// Begins with what earlier processes knew.
    pub(crate) fn new(limits: Arc<Limits>, records: Vec<SessionRecord>) -> Self {
        let mut sessions = Self {
            limits,
            known: HashMap::new(),
            series: 0,
            line: Line::default(),
            new_sessions: Used::default(),
            new_series: Used::default(),
            swept: BEGINNING,
            unwritten: Vec::new(),
        };
        let mut records: Vec<_> = records.into_iter().map(Known::recorded).collect();
        records.sort_by_key(|(_, known)| known.since);
        for (id, known) in records {
            // What the last hour has used up is still used up.
            if known.since + HOUR > BEGINNING {
                sessions.new_sessions.take(1, &sessions.limits.new_sessions(), known.since);
                let shared = known.series.len() as u64;
                let shared = shared.saturating_sub(sessions.limits.series_of_a_new_session());
                let rate = sessions.limits.new_series();
                let free = sessions.new_series.free(&rate, known.since);
                sessions.new_series.take(shared.min(free), &rate, known.since);
            }
            sessions.series += known.series.len() as u64;
            sessions.known.insert(id, known);
        }
        sessions
    }

    /// Whether a session may make a request now. Of one that isn't known only its circuit is limited.
    pub(crate) fn may_ask(&mut self, id: SessionId, now: Duration) -> bool {
        let rate = self.limits.requests_of_session();
        self.known.get_mut(&id).is_none_or(|known| known.requests.take(1, &rate, now))
    }

    /// Whether a session has a place: it is known, or gets one now. The circuit has brought no other.
    pub(crate) fn has_place(
        &mut self,
        id: SessionId,
        circuit: &Arc<Circuit>,
        now: Duration,
    ) -> bool {
        self.forget(now);
        if let Some(known) = self.known.get_mut(&id) {
            known.seen = now;
            return true;
        }
        let again = Duration::from_secs(self.limits.new_session_returns_seconds);
        let patience = self.limits.circuit(true);
        self.line.came(id, circuit, now, again, crate::config::count(self.limits.circuits));
        // First those that have waited; only then whoever comes along.
        while let Some(first) = self.line.first(now, patience) {
            if !self.take_place(now) {
                break;
            }
            self.line.remove_first();
            self.admit(first, now);
        }
        if self.line.is_empty() && !self.known.contains_key(&id) && self.take_place(now) {
            self.admit(id, now);
        }
        self.known.contains_key(&id)
    }

    /// Takes note of a known session's points, given the series of each and how many more parcels
    /// could be remembered at all: says which of them belong to a series that it may have.
    ///
    /// # Errors
    /// [`TooMuch`]; nothing was changed.
    pub(crate) fn weigh(
        &mut self,
        id: SessionId,
        points: &[SeriesHash],
        room_for_ids: u64,
        now: Duration,
    ) -> Result<Vec<Result<(), &'static str>>, TooMuch> {
        let Some(known) = self.known.get_mut(&id) else { return Ok(Vec::new()) };
        if known.parcels.count(now) >= room_for_ids.div_ceil(SHARE_OF_IDS) {
            return Err(TooMuch::Parcels);
        }
        if !known.points.take(points.len() as u64, &self.limits.points_of_session(), now) {
            return Err(TooMuch::Points);
        }
        known.parcels.add(now);
        let rate = self.limits.new_series();
        let own = self.limits.series_of_a_new_session();
        let mut verdicts = Vec::with_capacity(points.len());
        for &series in points {
            verdicts.push(match known.place_of(series) {
                Kept::Known => Ok(()),
                Kept::New(_) if known.series.len() as u64 >= self.limits.series_per_session => {
                    Err("session_series")
                }
                Kept::New(_) if self.series >= self.limits.series => Err("new_series"),
                Kept::New(at) => {
                    let is_own = (known.series.len() as u64) < own && known.since + HOUR > now;
                    if is_own || self.new_series.take(1, &rate, now) {
                        known.series.insert(at, series);
                        self.series += 1;
                        Ok(())
                    } else {
                        Err("new_series")
                    }
                }
            });
        }
        Ok(verdicts)
    }

    /// What of a session, and of those that have just got a place, is to be in the next commit.
    pub(crate) fn unwritten(&mut self, id: SessionId, now: Duration) -> Vec<SessionRecord> {
        let others = self.unwritten.iter().copied().filter(|other| *other != id);
        let ids: Vec<SessionId> = std::iter::once(id).chain(others).collect();
        let record = |id: SessionId| self.known.get(&id).and_then(|known| known.unwritten(id, now));
        ids.into_iter().filter_map(record).collect()
    }

    /// These have been committed, with so many series.
    pub(crate) fn written(&mut self, sessions: &[(SessionId, usize)], now: Duration) {
        for (id, series) in sessions {
            self.unwritten.retain(|other| other != id);
            if let Some(known) = self.known.get_mut(id) {
                known.written(*series, now);
            }
        }
    }

    /// How many there are.
    pub(crate) fn counts(&self, now: Duration) -> SessionCounts {
        let room = self.limits.sessions.saturating_sub(self.known.len() as u64);
        SessionCounts {
            known: self.known.len() as u64,
            series: self.series,
            waiting: self.line.len() as u64,
            places: self.new_sessions.free(&self.limits.new_sessions(), now).min(room),
        }
    }

    fn take_place(&mut self, now: Duration) -> bool {
        let room = (self.known.len() as u64) < self.limits.sessions;
        room && self.new_sessions.take(1, &self.limits.new_sessions(), now)
    }

    fn admit(&mut self, id: SessionId, now: Duration) {
        if self.known.insert(id, Known::new(now)).is_none() {
            self.unwritten.push(id);
        }
    }

    fn forget(&mut self, now: Duration) {
        if now < self.swept + SWEEP {
            return;
        }
        self.swept = now;
        let limit = Duration::from_secs(self.limits.session_hours * 3_600);
        let series = &mut self.series;
        self.known.retain(|_, known| {
            let stays = known.seen + limit > now;
            if !stays {
                *series -= known.series.len() as u64;
            }
            stays
        });
    }
}

/// A session may have this part of the IDs that could still be remembered. So those who send much are
/// held back while many are remembered, and there is always room for those who send little.
const SHARE_OF_IDS: u64 = 64;
