//! What one series of a session has claimed so far.

use std::time::Duration;

use super::claim::Claim;

/// What is remembered of a series.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Points taken.
    pub(super) points: u32,
    /// Events, the least that they can have been.
    pub(super) claimed: f64,
    /// The parcel that was judged last, and its last point: when it came, interval, total.
    pub(super) parcel: u64,
    pub(super) last: Option<(Duration, u32, Option<i64>)>,
    /// A total of before.
    settled: Option<Total>,
    /// One that will take its place when there is a parcel that was sealed later for certain.
    pending: Option<Total>,
}

/// A session's total of a series, and when it was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Total {
    count: Option<i64>,
    /// Measured not before.
    measured: Duration,
    sealed: [Duration; 2],
}

impl Total {
    pub(super) fn of(claim: &Claim, sealed_earliest: Duration, sealed_latest: Duration) -> Self {
        let before = claim.interval.saturating_mul(claim.slot);
        let measured = sealed_earliest.saturating_sub(before);
        Self { count: claim.count, measured, sealed: [sealed_earliest, sealed_latest] }
    }

    fn is_certainly_before(&self, later: &Self) -> bool {
        self.sealed[1] < later.sealed[0]
    }
}

impl History {
    /// Whether a total can be, after the one that is remembered: it differs by what can have happened between
    /// the two at most, and doesn't fall where nothing is ever taken back.
    pub(super) fn allows(&self, claim: &Claim, total: Total, now: Duration) -> bool {
        let known = self.settled.as_ref().or(self.pending.as_ref());
        let Some((known, before, count)) =
            known.and_then(|known| Some((known, known.count?, total.count?)))
        else {
            return true;
        };
        let error = claim.error(before) + claim.error(count);
        let difference = i128::from(count) - i128::from(before);
        // In whichever order they were sealed, both were measured in this time.
        let time = now.saturating_sub(known.measured.min(total.measured));
        let time = time + time / super::DRIFT + claim.interval * 2;
        let most = u128::from(claim.pace.most_in(time).unsigned_abs());
        let is_possible = difference.unsigned_abs() <= most + error;
        // Rounding keeps order.
        let falls = claim.only_grows && difference < 0 && known.is_certainly_before(&total);
        is_possible && !falls
    }

    pub(super) fn note(&mut self, total: Total) {
        match self.pending {
            None => self.pending = Some(total),
            Some(pending) if pending.is_certainly_before(&total) => {
                (self.settled, self.pending) = (Some(pending), Some(total));
            }
            Some(_) => {}
        }
    }
}
