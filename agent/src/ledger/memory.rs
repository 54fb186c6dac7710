//! A ledger in memory, bounded by age and size; gone with its agent.

use std::collections::VecDeque;

use super::{
    AGE_LIMIT,
    sent::{Outcome, Sent, SentParcel},
};
use crate::clock::Moment;

/// What it may take, in bytes: more than a day of the profile `anonymous`.
const BYTES_LIMIT: usize = 4 * 1024 * 1024;
/// What a request costs beside its bytes, roughly.
const OVERHEAD: usize = 96;

#[derive(Debug, Default)]
pub(super) struct Memory {
    kept: VecDeque<Kept>,
    bytes: usize,
    next: u32,
}

#[derive(Debug)]
struct Kept {
    number: u32,
    begun: Moment,
    parcel: SentParcel,
}

impl Memory {
    pub(super) fn attempt(&mut self, parcel: SentParcel, now: Moment) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += parcel.bytes.len() + OVERHEAD;
        self.kept.push_back(Kept { number, begun: now, parcel });
        self.sweep(now);
        number
    }

    pub(super) fn outcome(&mut self, number: u32, outcome: Outcome) {
        if let Some(kept) = self.kept.iter_mut().rfind(|kept| kept.number == number) {
            kept.parcel.outcome = outcome;
        }
    }

    /// Drops what is too old, or too much.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some(oldest) = self.kept.front() {
            if now.saturating_sub(oldest.begun) < AGE_LIMIT && self.bytes <= BYTES_LIMIT {
                return;
            }
            self.bytes -= oldest.parcel.bytes.len() + OVERHEAD;
            self.kept.pop_front();
        }
    }

    pub(super) fn read(&mut self, now: Moment) -> Sent {
        self.sweep(now);
        Sent::new(self.kept.iter().map(|kept| kept.parcel.clone()).collect(), Vec::new())
    }
}
