//! Sealed parcels that wait for a slot, oldest first; bounded in number and age.
//!
//! In memory: what an agent's end leaves unsent is gone (invariant P10).

use std::{collections::VecDeque, time::Duration};

use undertone_wire::parcel::{Age, Parcel, ParcelId};

use crate::{clock::Moment, route::Route};

/// The most parcels that wait: 1 MB.
const PARCELS_LIMIT: usize = 256;

/// Parcels in the order they were sealed.
#[derive(Debug)]
pub(crate) struct Spool {
    waiting: VecDeque<Waiting>,
    age_limit: Duration,
    dropped: u64,
}

/// A sealed parcel.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) parcel: Parcel,
    /// The way that it goes, where it has a session of its own.
    pub(crate) route: Option<Route>,
}

#[derive(Debug)]
struct Waiting {
    sealed: Sealed,
    wait: Wait,
}

/// Since when a parcel waits, and how long it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    since: Moment,
    limit: Duration,
}

impl Wait {
    /// The parcel's age; none if it is too old to be sent.
    pub(crate) fn age(self, now: Moment) -> Option<Age> {
        let waited = now.saturating_sub(self.since);
        (waited <= self.limit).then(|| Age::of(waited))
    }
}

impl Spool {
    /// An empty one, in which no parcel waits longer than this.
    pub(crate) fn new(age_limit: Duration) -> Self {
        Self { waiting: VecDeque::new(), age_limit, dropped: 0 }
    }

    /// Adds a parcel; drops the oldest where there are too many.
    pub(crate) fn add(&mut self, sealed: Sealed, now: Moment) {
        if self.waiting.len() == PARCELS_LIMIT {
            self.drop_oldest();
        }
        let wait = Wait { since: now, limit: self.age_limit };
        self.waiting.push_back(Waiting { sealed, wait });
    }

    /// The oldest parcel that isn't too old, with its wait; if none waits, a new one, which then
    /// waits like any other.
    pub(crate) fn oldest_or(
        &mut self,
        now: Moment,
        new: impl FnOnce() -> Sealed,
    ) -> (&mut Sealed, Wait) {
        while self.waiting.front().is_some_and(|oldest| oldest.wait.age(now).is_none()) {
            self.drop_oldest();
        }
        if self.waiting.is_empty() {
            self.add(new(), now);
        }
        // Just made sure of.
        let oldest = &mut self.waiting[0];
        (&mut oldest.sealed, oldest.wait)
    }

    /// The way of a parcel that waits, if it has one of its own.
    pub(crate) fn route(&mut self, id: ParcelId) -> Option<&mut Route> {
        let mut waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.sealed);
        waiting.find(|sealed| sealed.parcel.id() == id)?.route.as_mut()
    }

    /// Forgets a parcel whose fate is decided.
    pub(crate) fn remove(&mut self, id: ParcelId) {
        self.waiting.retain(|waiting| waiting.sealed.parcel.id() != id);
    }

    /// Whether another one can be added and nothing be dropped.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < PARCELS_LIMIT
    }

    /// Those that wait, the oldest first.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.waiting.iter().map(|waiting| &waiting.sealed.parcel)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many were dropped because there were too many, or they were too old.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn drop_oldest(&mut self) {
        self.dropped += u64::from(self.waiting.pop_front().is_some());
    }
}

#[cfg(test)]
mod tests {
    use undertone_wire::{batch::Payload, endpoint::DeploymentId, session::SessionKey};

    use super::*;

    fn parcel(number: u16) -> Sealed {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let payload = Payload::encode(&[]).unwrap();
        let session = SessionKey::from_seed(&[1; 32]);
        let parcel = Parcel::seal(&session, ParcelId(id), &DeploymentId::from([2; 32]), &payload);
        Sealed { parcel, route: None }
    }

    #[test]
    fn d4_the_oldest_goes_first_and_is_dropped_first() {
        let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
        for number in 0..300 {
            spool.add(parcel(number), Duration::ZERO);
        }
        assert_eq!((spool.len(), spool.dropped()), (256, 44));
        let (oldest, _) = spool.oldest_or(Duration::ZERO, || parcel(999));
        assert_eq!(oldest.parcel.id(), parcel(44).parcel.id());
    }

    #[test]
    fn d4_what_is_too_old_is_dropped_and_counted() {
        let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
        spool.add(parcel(1), Duration::ZERO);
        spool.add(parcel(2), Duration::from_secs(3_600));
        let now = Duration::from_secs(24 * 3_600 + 1);
        let (oldest, wait) = spool.oldest_or(now, || parcel(999));
        let expected = (parcel(2).parcel.id(), Some(Age(6 * 23)));
        assert_eq!((oldest.parcel.id(), wait.age(now)), expected);
        // A machine may sleep while a stream is opened.
        assert_eq!(wait.age(now + Duration::from_secs(3_600)), None);
        assert_eq!(spool.dropped(), 1);
    }
}
