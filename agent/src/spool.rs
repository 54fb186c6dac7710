//! Sealed parcels that wait for a slot, oldest first; bounded in number and age.
//!
//! In memory: what an agent's end leaves unsent is gone (invariant P10).

use std::{collections::VecDeque, time::Duration};

use undertone_wire::parcel::{Age, Parcel, ParcelId};

use crate::clock::Moment;

/// The most parcels that wait: 1 MB.
const PARCELS_LIMIT: usize = 256;
/// How long one waits at most; its age still fits into the byte that carries it.
const AGE_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// Parcels in the order they were sealed.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    waiting: VecDeque<Waiting>,
    dropped: u64,
}

#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    sealed: Moment,
}

impl Spool {
    /// Adds a parcel; drops the oldest where there are too many.
    pub(crate) fn add(&mut self, parcel: Parcel, now: Moment) {
        if self.waiting.len() == PARCELS_LIMIT {
            self.drop_oldest();
        }
        self.waiting.push_back(Waiting { parcel, sealed: now });
    }

    /// The oldest parcel that isn't too old, with its age; if none waits, a new one, which then
    /// waits like any other.
    pub(crate) fn oldest_or(&mut self, now: Moment, new: impl FnOnce() -> Parcel) -> (Parcel, Age) {
        while self.waiting.front().is_some_and(|oldest| now - oldest.sealed > AGE_LIMIT) {
            self.drop_oldest();
        }
        if let Some(oldest) = self.waiting.front() {
            return (oldest.parcel.clone(), Age::of(now - oldest.sealed));
        }
        let parcel = new();
        self.add(parcel.clone(), now);
        (parcel, Age::default())
    }

    /// Forgets a parcel whose fate is decided.
    pub(crate) fn remove(&mut self, id: ParcelId) {
        self.waiting.retain(|waiting| waiting.parcel.id() != id);
    }

    /// Whether another one can be added and nothing be dropped.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < PARCELS_LIMIT
    }

    /// Those that wait, the oldest first.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.waiting.iter().map(|waiting| &waiting.parcel)
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

    fn parcel(number: u16) -> Parcel {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let payload = Payload::encode(&[]).unwrap();
        let session = SessionKey::from_seed(&[1; 32]);
        Parcel::seal(&session, ParcelId(id), &DeploymentId::from([2; 32]), &payload)
    }

    #[test]
    fn d4_the_oldest_goes_first_and_is_dropped_first() {
        let mut spool = Spool::default();
        for number in 0..300 {
            spool.add(parcel(number), Duration::ZERO);
        }
        assert_eq!((spool.len(), spool.dropped()), (256, 44));
        assert_eq!(spool.oldest_or(Duration::ZERO, || parcel(999)).0.id(), parcel(44).id());
    }

    #[test]
    fn d4_what_is_too_old_is_dropped_and_counted() {
        let mut spool = Spool::default();
        spool.add(parcel(1), Duration::ZERO);
        spool.add(parcel(2), Duration::from_secs(3_600));
        let now = Duration::from_secs(24 * 3_600 + 1);
        let (oldest, age) = spool.oldest_or(now, || parcel(999));
        assert_eq!((oldest.id(), age), (parcel(2).id(), Age(6 * 23)));
        assert_eq!(spool.dropped(), 1);
    }
}
