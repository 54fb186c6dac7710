//! Sealed parcels that wait for a slot, oldest first; bounded in number and age, and every drop is counted
//! by its reason (invariant D4).
//!
//! In memory: what an agent's end leaves unsent is gone (invariant P10). In the profile `fleet` a copy of each is
//! on a [`disk`] before it is sent, and what an earlier process left there waits here, too (D3).

pub(crate) mod disk;
mod elapsed;
mod table;

use std::{collections::VecDeque, time::Duration};

use undertone_wire::{
    parcel::{Age, Parcel, ParcelId},
    session::SessionId,
};

use self::disk::{Disk, Kept, Restored};
use crate::{clock::Moment, route::Route};

/// The most parcels that wait in memory alone: 1 MB.
const PARCELS_LIMIT: usize = 256;

/// Parcels in the order they were sealed.
#[derive(Debug)]
pub(crate) struct Spool {
    waiting: VecDeque<Waiting>,
    limit: usize,
    age_limit: Duration,
    drops: Drops,
    disk: Option<Disk>,
}

/// How many parcels were given up, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drops {
    /// Too many waited: the oldest were dropped.
    pub too_many: u64,
    /// They had waited for longer than a parcel may.
    pub too_old: u64,
    /// Their session ended, or their agent, and nothing that waits outlives it (invariant P10).
    pub session_ended: u64,
    /// What an earlier process had left was damaged, or is for another deployment.
    pub unreadable: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.too_many + self.too_old + self.session_ended + self.unreadable
    }

    /// These and others.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            too_many: self.too_many + other.too_many,
            too_old: self.too_old + other.too_old,
            session_ended: self.session_ended + other.session_ended,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

/// A sealed parcel.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) parcel: Parcel,
    pub(crate) way: Way,
}

/// Which way a parcel goes: no circuit carries two sessions (invariant P7).
#[derive(Debug)]
pub(crate) enum Way {
    /// That of the session that lives.
    Session,
    /// One of its own, since its session is its alone.
    Own(Route),
    /// That of a session of an earlier process.
    Earlier(SessionId),
}

#[derive(Debug)]
struct Waiting {
    sealed: Sealed,
    wait: Wait,
    /// Whether it is on the disk yet, where there is one.
    kept: Option<Kept>,
}

/// Since when a parcel waits, and how long it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    since: Moment,
    /// How long it had waited before that, in an earlier process.
    before: Duration,
    limit: Duration,
}

impl Wait {
    /// The parcel's age; none if it is too old to be sent.
    pub(crate) fn age(self, now: Moment) -> Option<Age> {
        let waited = now.saturating_sub(self.since) + self.before;
        (waited <= self.limit).then(|| Age::of(waited))
    }
}

/// Why a parcel waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The ingest side has decided about it.
    Decided,
    TooMany,
    TooOld,
}

impl Spool {
    /// An empty one in memory, in which no parcel waits longer than this.
    pub(crate) fn new(age_limit: Duration) -> Self {
        let (waiting, drops) = (VecDeque::new(), Drops::default());
        Self { waiting, limit: PARCELS_LIMIT, age_limit, drops, disk: None }
    }

    /// Keeps a copy of each parcel on `disk`, as many as fit there.
    pub(crate) fn on(mut self, disk: Disk) -> Self {
        self.limit = disk.parcels_limit();
        self.disk = Some(disk);
        self
    }

    /// Adds a parcel; drops the oldest where there are too many.
    pub(crate) fn add(&mut self, sealed: Sealed, now: Moment) {
        if self.waiting.len() >= self.limit {
            self.drop_oldest(Fate::TooMany);
        }
        let kept = self.disk.as_ref().map(|disk| disk.keep(&sealed.parcel));
        let wait = Wait { since: now, before: Duration::ZERO, limit: self.age_limit };
        self.waiting.push_back(Waiting { sealed, wait, kept });
    }

    /// Puts what an earlier process left before what waits already, and returns whose it is.
    pub(crate) fn restore(&mut self, restored: Restored, now: Moment) -> Vec<SessionId> {
        self.drops.unreadable += restored.unreadable;
        let mut sessions = Vec::new();
        for (parcel, before) in restored.parcels.into_iter().rev() {
            let session = parcel.session().id();
            if !sessions.contains(&session) {
                sessions.push(session);
            }
            let sealed = Sealed { parcel, way: Way::Earlier(session) };
            let wait = Wait { since: now, before, limit: self.age_limit };
            self.waiting.push_front(Waiting { sealed, wait, kept: None });
        }
        while self.waiting.len() > self.limit {
            self.drop_oldest(Fate::TooMany);
        }
        sessions
    }

    /// The oldest parcel that isn't too old, with its wait, and whether it is on the disk yet; if none waits, a
    /// new one, which then waits like any other.
    pub(crate) fn oldest_or(
        &mut self,
        now: Moment,
        new: impl FnOnce() -> Sealed,
    ) -> (&Sealed, Wait, Option<Kept>) {
        while self.waiting.front().is_some_and(|oldest| oldest.wait.age(now).is_none()) {
            self.drop_oldest(Fate::TooOld);
        }
        if self.waiting.is_empty() {
            self.add(new(), now);
        }
        // Just made sure of.
        let oldest = &self.waiting[0];
        (&oldest.sealed, oldest.wait, oldest.kept.clone())
    }

    /// The way of a parcel that waits.
    pub(crate) fn way(&mut self, id: ParcelId) -> Option<&mut Way> {
        let mut waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.sealed);
        Some(&mut waiting.find(|sealed| sealed.parcel.id() == id)?.way)
    }

    /// Whether a parcel of this earlier session waits.
    pub(crate) fn has_earlier(&self, session: SessionId) -> bool {
        let of = |way: &Way| matches!(way, Way::Earlier(other) if *other == session);
        self.waiting.iter().any(|waiting| of(&waiting.sealed.way))
    }

    /// Forgets a parcel whose fate is decided.
    pub(crate) fn remove(&mut self, id: ParcelId) {
        self.waiting.retain(|waiting| waiting.sealed.parcel.id() != id);
        self.forget(id, Fate::Decided);
    }

    /// Whether another one can be added and nothing be dropped.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.limit
    }

    /// Those that wait, the oldest first.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.waiting.iter().map(|waiting| &waiting.sealed.parcel)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether what waits is there for the next process.
    pub(crate) fn outlives_the_process(&self) -> bool {
        self.disk.is_some()
    }

    /// Whether there is a disk that can't be written now.
    pub(crate) fn disk_refuses(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::refuses)
    }

    /// How many were dropped, and why.
    pub(crate) fn drops(&self) -> Drops {
        self.drops
    }

    /// The end: what waits is gone, unless it is on a disk; then this waits until it is, and all that was
    /// removed from there.
    pub(crate) async fn close(self) -> Drops {
        let mut drops = self.drops;
        match self.disk {
            Some(disk) => disk.close().await,
            None => drops.session_ended += self.waiting.len() as u64,
        }
        drops
    }

    fn drop_oldest(&mut self, why: Fate) {
        let Some(oldest) = self.waiting.pop_front() else { return };
        match why {
            Fate::TooOld => self.drops.too_old += 1,
            Fate::TooMany | Fate::Decided => self.drops.too_many += 1,
        }
        self.forget(oldest.sealed.parcel.id(), why);
    }

    fn forget(&self, id: ParcelId, why: Fate) {
        if let Some(disk) = &self.disk {
            disk.forget(id, why);
        }
    }
}

#[cfg(test)]
mod tests;
