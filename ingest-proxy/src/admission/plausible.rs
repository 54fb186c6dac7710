//! What a session claims, held against what can be. Pure: claims and times in, reasons out.
//!
//! Only what no honest agent can do is a reason: each rule says what makes it a proof. Lost parcels,
//! replays (which aren't judged), parcels out of order, ages told in units of ten minutes, rounding,
//! merged intervals, machines that sleep and clocks that step are not. What is known of sessions is
//! bounded in number and forgotten at the end of the process: then rules begin anew, and take more.

mod claim;
mod history;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use undertone_wire::{parcel::Age, schema::longest_span, session::SessionId};

pub(crate) use claim::Claim;
use history::{History, Total};

/// Series remembered, of all sessions together: about 15 MB.
const SERIES_LIMIT: usize = 100_000;
/// Sessions remembered.
const SESSIONS_LIMIT: usize = 20_000;
/// How long a parcel may be under way, from when its age is told: what takes longer is given up by both ends.
const TRANSIT: Duration = Duration::from_secs(600);
/// By how much clocks may differ in speed: one in so many.
const DRIFT: u32 = 1_000;

/// Two points of a series in one interval: a batch has one reading of each.
pub(crate) const TWICE: &str = "twice";
/// More than can happen in the time that the point speaks for.
pub(crate) const TOO_MANY: &str = "too_many";
/// A session's total that its intervals don't add up to, or that falls where it can't.
pub(crate) const TOTAL: &str = "total";
/// More intervals than there were.
pub(crate) const INTERVALS: &str = "intervals";
/// More, all in all, than can have happened since the session began.
pub(crate) const SINCE_BEGIN: &str = "since_begin";
/// More than the operator lets one session contribute.
pub(crate) const WEIGHT: &str = "weight";

/// One parcel of a session.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) session: SessionId,
    pub(crate) age: Age,
    /// When it came.
    pub(crate) arrived: Duration,
    /// For each of its points what it claims; none for a point with a time of its own.
    pub(crate) points: Vec<Option<Claim>>,
}

/// A point that can't be true: which, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Impossible {
    pub(crate) point: usize,
    pub(crate) reason: &'static str,
}

/// What is known of the sessions that were seen last.
#[derive(Debug, Default)]
pub(crate) struct Plausible {
    sessions: HashMap<SessionId, Known>,
    /// Who was seen when, the longest ago first.
    seen: BTreeMap<u64, SessionId>,
    parcels: u64,
    series: usize,
}

/// What is known of a session.
#[derive(Debug)]
struct Known {
    /// The earliest time at which its first point can have been measured.
    begin: Duration,
    seen: u64,
    series: HashMap<u64, History>,
    /// What was claimed of measurements that have a greatest weight.
    weights: HashMap<u64, f64>,
}

impl Plausible {
    /// Which points of a parcel that wasn't there before can't be true. `now` never falls behind the time
    /// that has passed.
    pub(crate) fn judge(&mut self, claims: &Claims, now: Duration) -> Vec<Impossible> {
        let Some(parcel) = Parcel::of(claims, now) else { return Vec::new() };
        let known = self.meet(claims.session, parcel.begin());
        let before = known.series.len();
        let mut impossible = Vec::new();
        for (point, claim) in parcel.claims() {
            if let Err(reason) = known.check(claim, &parcel) {
                impossible.push(Impossible { point, reason });
            }
        }
        self.series += known.series.len() - before;
        self.forget_oldest();
        impossible
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn meet(&mut self, session: SessionId, begin: Duration) -> &mut Known {
        self.parcels += 1;
        let seen = self.parcels;
        let known = self.sessions.entry(session).or_insert_with(|| Known {
            begin,
            seen,
            series: HashMap::new(),
            weights: HashMap::new(),
        });
        self.seen.remove(&known.seen);
        self.seen.insert(seen, session);
        known.seen = seen;
        known.begin = known.begin.min(begin);
        known
    }

    fn forget_oldest(&mut self) {
        while self.series > SERIES_LIMIT || self.sessions.len() > SESSIONS_LIMIT {
            let Some((_, session)) = self.seen.pop_first() else { return };
            let series = self.sessions.remove(&session).map_or(0, |known| known.series.len());
            self.series -= series;
        }
    }
}

/// A parcel with the times in which it can have been sealed.
struct Parcel<'a> {
    claims: &'a Claims,
    /// The numbers of its intervals, the latest, which is the least, first.
    slots: BTreeSet<u32>,
    sealed_earliest: Duration,
    sealed_latest: Duration,
    now: Duration,
}

impl<'a> Parcel<'a> {
    /// None if it claims nothing.
    fn of(claims: &'a Claims, now: Duration) -> Option<Self> {
        let slots: BTreeSet<u32> = claims.points.iter().flatten().map(|claim| claim.slot).collect();
        if slots.is_empty() {
            return None;
        }
        let told = Age::UNIT * u32::from(claims.age.0);
        Some(Self {
            claims,
            slots,
            // Ages are told in whole units.
            sealed_earliest: claims.arrived.saturating_sub(told + Age::UNIT + TRANSIT),
            sealed_latest: claims.arrived.saturating_sub(told),
            now: now.max(claims.arrived),
        })
    }

    /// The earliest time at which its oldest point can have been measured, had no snapshot been late. A
    /// late one makes fewer of them, never more.
    fn begin(&self) -> Duration {
        let before = |claim: &Claim| claim.interval.saturating_mul(claim.slot);
        let longest = self.claims.points.iter().flatten().map(before).max().unwrap_or_default();
        self.sealed_earliest.saturating_sub(longest)
    }

    /// The points that claim something, in the order of their times.
    fn claims(&self) -> Vec<(usize, &'a Claim)> {
        let all = self.claims.points.iter().enumerate();
        let mut claims: Vec<_> = all.filter_map(|(n, claim)| Some((n, claim.as_ref()?))).collect();
        claims.sort_by_key(|(_, claim)| std::cmp::Reverse(claim.slot));
        claims
    }

    /// The interval before one. A batch has all of its intervals, or one for several: so it is where the time
    /// of a point begins. None for the oldest, whose time began with the batch.
    fn slot_before(&self, slot: u32) -> Option<u32> {
        self.slots.range(slot + 1..).next().copied()
    }

    /// The longest time for which a point can speak.
    fn window(&self, claim: &Claim) -> Duration {
        let longest = longest_span(claim.interval);
        self.slot_before(claim.slot).map_or(longest, |before| {
            claim.interval.saturating_mul(before - claim.slot).min(longest)
        })
    }
}

impl Known {
    /// Remembers a claim, or says why it can't be true.
    fn check(&mut self, claim: &Claim, parcel: &Parcel<'_>) -> Result<(), &'static str> {
        let window = parcel.window(claim);
        let history = self.series.entry(claim.series).or_default();
        let last = history.last.replace((parcel.claims.arrived, claim.slot, claim.count));
        // Of this parcel, and not one before.
        let last = last.filter(|(arrived, slot, _)| {
            *arrived == parcel.claims.arrived && *slot >= claim.slot && history.parcel == self.seen
        });
        history.parcel = self.seen;
        let last = last.map(|(_, slot, count)| (slot, count));
        if last.is_some_and(|(slot, _)| slot == claim.slot) {
            return Err(TWICE);
        }
        if claim.exceeds(window) {
            return Err(TOO_MANY);
        }
        if let Some((slot, count)) = last
            && parcel.slot_before(claim.slot) == Some(slot)
            && !claim.continues(count, window)
        {
            return Err(TOTAL);
        }
        // What happens until now is in the next interval; and a last one may be cut short.
        let spent = parcel.now.saturating_sub(self.begin);
        let spent = spent + spent / DRIFT + claim.interval * 2;
        if u128::from(history.points) >= spent.as_nanos() / claim.interval.as_nanos().max(1) + 2 {
            return Err(INTERVALS);
        }
        let possible = spent + longest_span(claim.interval);
        let claimed = history.claimed + claim.least_events();
        if claimed > claim.pace.most_in(possible) as f64 {
            return Err(SINCE_BEGIN);
        }
        let total = Total::of(claim, parcel.sealed_earliest, parcel.sealed_latest);
        if !history.allows(claim, total, parcel.now) {
            return Err(TOTAL);
        }
        if let Some(weight) = &claim.weight {
            let intervals = possible.as_secs_f64() / claim.interval.as_secs_f64().max(1.0);
            let sum = self.weights.entry(weight.measurement).or_default();
            if *sum + weight.amount > weight.most_per_interval * intervals {
                return Err(WEIGHT);
            }
            *sum += weight.amount;
        }
        history.claimed = claimed;
        history.points = history.points.saturating_add(1);
        history.note(total);
        Ok(())
    }
}
