//! Sealed parcels that wait for a slot, oldest first; bounded in number and age, and every drop is counted
//! by its reason (invariant D4).
//!
//! In memory: what an agent's end leaves unsent is gone (invariant P10). In the profile `fleet` a copy of each is
//! on a [`disk`] before it is sent, and what an earlier process left there waits here, too (D3).

pub(crate) mod disk;
mod elapsed;
mod table;
mod witness;

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use undertone_wire::{
    endpoint::Endpoint,
    parcel::{Age, Parcel, ParcelId},
    session::SessionId,
};

use self::disk::{Disk, Kept, Reaching, Restored};
pub use self::witness::{Witness, Witnessed};
use crate::{clock::Moment, route::Route};

/// The most parcels that wait in memory alone: 1 MB.
const PARCELS_LIMIT: usize = 256;

/// How often at most a parcel is passed over that waits for an address which the others have left.
const PASSES_LIMIT: u32 = 15;

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
    /// The address that may have got it, unanswered. Others don't know its ID: it goes there until it is decided
    /// about, or too old (D2).
    pub(crate) reached: Option<Endpoint>,
}

impl Sealed {
    /// One that hasn't been anywhere.
    pub(crate) fn new(parcel: Parcel, way: Way) -> Self {
        Self { parcel, way, reached: None }
    }
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
    /// Whether it is on the disk yet, where there is one and it is to be there.
    kept: Option<Kept>,
    /// It says nothing, and is in memory alone.
    chaff: bool,
    /// The address that may have got it is none of the deployment's any more, as far as this agent knows.
    stranded: bool,
    /// How often it is passed over now, and was the last time, where its address is one that the others have left.
    passes: u32,
    patience: u32,
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
        let waited = self.waited(now);
        (waited <= self.limit).then(|| Age::of(waited))
    }

    fn waited(self, now: Moment) -> Duration {
        now.saturating_sub(self.since) + self.before
    }
}

/// Why a parcel waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The ingest side has it.
    Taken,
    /// The ingest side will never take it.
    Malformed,
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
        self.wait(sealed, now, false);
    }

    fn wait(&mut self, sealed: Sealed, now: Moment, chaff: bool) {
        if self.waiting.len() >= self.limit {
            self.drop_oldest(Fate::TooMany);
        }
        let disk = self.disk.as_ref().filter(|_| !chaff);
        let kept = disk.map(|disk| disk.keep(&sealed.parcel, Duration::ZERO));
        let wait = Wait { since: now, before: Duration::ZERO, limit: self.age_limit };
        let (stranded, passes, patience) = (false, 0, 0);
        self.waiting.push_back(Waiting { sealed, wait, kept, chaff, stranded, passes, patience });
    }

    /// Puts what an earlier process left before what waits already, and returns whose it is. If the file is
    /// another one than before, what waits is written there again.
    pub(crate) fn restore(
        &mut self,
        restored: Restored,
        endpoints: &[Endpoint],
        now: Moment,
    ) -> Vec<SessionId> {
        self.drops.unreadable += restored.unreadable;
        if restored.again
            && let Some(disk) = &self.disk
        {
            for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.chaff) {
                waiting.kept = Some(disk.keep(&waiting.sealed.parcel, waiting.wait.waited(now)));
            }
        }
        let known: HashSet<ParcelId> = self.parcels().map(Parcel::id).collect();
        let mut sessions = Vec::new();
        let found = restored.parcels.into_iter().rev();
        for (parcel, before, reached) in found.filter(|(parcel, ..)| !known.contains(&parcel.id()))
        {
            let session = parcel.session().id();
            if !sessions.contains(&session) {
                sessions.push(session);
            }
            let stranded = reached.as_ref().is_some_and(|reached| !endpoints.contains(reached));
            let sealed = Sealed { parcel, way: Way::Earlier(session), reached };
            let wait = Wait { since: now, before, limit: self.age_limit };
            let (kept, chaff, passes, patience) = (None, false, 0, 0);
            let waiting = Waiting { sealed, wait, kept, chaff, stranded, passes, patience };
            self.waiting.push_front(waiting);
        }
        while self.waiting.len() > self.limit {
            self.drop_oldest(Fate::TooMany);
        }
        sessions
    }

    /// The parcel that goes next, with its wait, and whether it is on the disk yet: the oldest that isn't too old.
    /// What waits for an address that the others have left, as `is_left` says, is passed over more and more often,
    /// so that it holds up none of them. If there is nothing to send, a new one, which then waits like any other.
    pub(crate) fn next_or(
        &mut self,
        now: Moment,
        is_left: impl Fn(&Sealed) -> bool,
        new: impl FnOnce() -> Sealed,
    ) -> (&Sealed, Wait, Option<Kept>) {
        while self.waiting.front().is_some_and(|oldest| oldest.wait.age(now).is_none()) {
            self.drop_oldest(Fate::TooOld);
        }
        let index = self.next(is_left).unwrap_or_else(|| {
            self.wait(new(), now, true);
            self.waiting.len() - 1
        });
        // One that is there, or was just added.
        let next = &self.waiting[index];
        (&next.sealed, next.wait, next.kept.clone())
    }

    fn next(&mut self, is_left: impl Fn(&Sealed) -> bool) -> Option<usize> {
        let mut passed_over = None;
        for (index, waiting) in self.waiting.iter_mut().enumerate() {
            if waiting.stranded {
                continue;
            }
            if !is_left(&waiting.sealed) || waiting.passes == 0 {
                return Some(index);
            }
            waiting.passes -= 1;
            passed_over = passed_over.or(Some(index));
        }
        passed_over
    }

    /// A push of this parcel failed; this address may have got it.
    pub(crate) fn failed(&mut self, id: ParcelId, reached: Option<&Endpoint>) {
        if let Some(waiting) = self.waiting.iter_mut().find(|w| w.sealed.parcel.id() == id) {
            waiting.patience = (2 * waiting.patience + 1).min(PASSES_LIMIT);
            waiting.passes = waiting.patience;
            waiting.sealed.reached = waiting.sealed.reached.take().or(reached.cloned());
        }
    }

    /// What writes down that a parcel may be about to reach an address, if that is to be, and isn't yet.
    pub(crate) fn reaching(&self, id: ParcelId, endpoint: &Endpoint) -> Option<Reaching> {
        let waiting = self.waiting.iter().find(|w| w.sealed.parcel.id() == id)?;
        let news = !waiting.chaff && waiting.sealed.reached.is_none();
        Some(self.disk.as_ref().filter(|_| news)?.reaching(id, endpoint))
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

    /// Forgets a parcel that was decided about, and says whose it is if that is an earlier session.
    pub(crate) fn remove(&mut self, id: ParcelId, fate: Fate) -> Option<SessionId> {
        let index = self.waiting.iter().position(|w| w.sealed.parcel.id() == id)?;
        let waiting = self.waiting.remove(index)?;
        self.forget(&waiting, fate);
        match waiting.sealed.way {
            Way::Earlier(session) => Some(session),
            Way::Session | Way::Own(_) => None,
        }
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

    /// Whether nothing waits that there is a way for.
    pub(crate) fn nothing_to_send(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.stranded)
    }

    /// How many are there for the next process.
    pub(crate) fn outliving(&self) -> usize {
        match self.disk {
            Some(_) => self.waiting.iter().filter(|waiting| !waiting.chaff).count(),
            None => 0,
        }
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
            _ => self.drops.too_many += 1,
        }
        self.forget(&oldest, why);
    }

    fn forget(&self, waiting: &Waiting, fate: Fate) {
        if let Some(disk) = self.disk.as_ref().filter(|_| !waiting.chaff) {
            disk.forget(waiting.sealed.parcel.id(), fate);
        }
    }
}

#[cfg(test)]
mod tests;
