//! What a queue holds and what it has counted.

use std::collections::BTreeMap;

/// What waits in a queue, and what it has counted since its file was created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Parcels that some sink still has to write.
    pub waiting_parcels: u64,
    /// Their bytes, counted as [`bytes`](crate::queue::QueueLimits::bytes) is.
    pub waiting_bytes: u64,
    /// Parcel IDs remembered.
    pub remembered_ids: u64,
    /// Points that are held, since they can't be true.
    pub held_points: u64,
    /// Their bytes, counted as [`held_bytes`](crate::queue::QueueLimits::held_bytes) is.
    pub held_bytes: u64,
    /// Sessions that are flagged.
    pub suspects: u64,
    /// The place of the newest parcel ever stored with points; places only grow.
    pub(crate) newest: i64,
    /// Counts by name; those of refusals start with `refused:`.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Parcels, and the points in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Parcels.
    pub parcels: u64,
    /// Points.
    pub points: u64,
}

/// Points that were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldTally {
    /// All of them.
    pub held: u64,
    /// Those that the operator let in.
    pub released: u64,
    /// Those that the operator deleted.
    pub deleted: u64,
    /// Those that were dropped, for there were too many, or they were held for too long.
    pub dropped: u64,
}

impl QueueStats {
    /// What was admitted, chaff included.
    pub fn admitted(&self) -> Tally {
        self.tally(ADMITTED)
    }

    /// Parcels that came again.
    pub fn replayed(&self) -> u64 {
        self.count(REPLAYED)
    }

    /// What every sink has passed.
    pub fn delivered(&self) -> Tally {
        self.tally(DELIVERED)
    }

    /// What was dropped before every sink had passed it, because the queue was full.
    pub fn dropped_full(&self) -> Tally {
        self.tally(DROPPED_FULL)
    }

    /// What was dropped before every sink had passed it, because it had waited too long.
    pub fn dropped_old(&self) -> Tally {
        self.tally(DROPPED_OLD)
    }

    /// Parcel IDs forgotten before their time, because there were too many. Their replay would be
    /// admitted.
    pub fn forgotten_early(&self) -> u64 {
        self.count(FORGOTTEN_EARLY)
    }

    /// Lines that sinks refused.
    pub fn quarantined(&self) -> u64 {
        self.count(QUARANTINED)
    }

    /// Refused lines that are no longer kept.
    pub fn quarantine_dropped(&self) -> u64 {
        self.count(QUARANTINE_DROPPED)
    }

    /// What admissions counted as refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().filter_map(|(name, &count)| Some((name.strip_prefix(REFUSED)?, count)))
    }

    /// Parcels of which nothing was stored, not even their IDs, by reason.
    pub fn refused_parcels(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.counts.iter();
        counts.filter_map(|(name, &count)| Some((name.strip_prefix(REFUSED_PARCELS)?, count)))
    }

    /// Points that were held, by reason.
    pub fn held(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().filter_map(|(name, &count)| Some((name.strip_prefix(HELD)?, count)))
    }

    /// Points that were held, and what became of those that no longer are.
    pub fn held_in_all(&self) -> HeldTally {
        HeldTally {
            held: self.count(HELD_POINTS),
            released: self.count(HELD_RELEASED),
            deleted: self.count(HELD_DELETED),
            dropped: self.count(HELD_DROPPED),
        }
    }

    /// Sessions that were flagged, each as often as it was.
    pub fn flagged(&self) -> u64 {
        self.count(FLAGGED_SESSIONS)
    }

    fn tally(&self, [parcels, points]: [&str; 2]) -> Tally {
        Tally { parcels: self.count(parcels), points: self.count(points) }
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
}

pub(super) const ADMITTED: [&str; 2] = ["admitted_parcels", "admitted_points"];
pub(super) const DELIVERED: [&str; 2] = ["delivered_parcels", "delivered_points"];
pub(super) const DROPPED_FULL: [&str; 2] = ["dropped_full_parcels", "dropped_full_points"];
pub(super) const DROPPED_OLD: [&str; 2] = ["dropped_old_parcels", "dropped_old_points"];
pub(super) const REPLAYED: &str = "replayed";
pub(super) const FORGOTTEN_EARLY: &str = "forgotten_early";
pub(super) const QUARANTINED: &str = "quarantined";
pub(super) const QUARANTINE_DROPPED: &str = "quarantine_dropped";
pub(super) const REFUSED: &str = "refused:";
pub(super) const REFUSED_PARCELS: &str = "refused_parcels:";
pub(super) const HELD: &str = "held:";
pub(super) const HELD_POINTS: &str = "held_points";
pub(super) const HELD_RELEASED: &str = "held_released";
pub(super) const HELD_DELETED: &str = "held_deleted";
pub(super) const HELD_DROPPED: &str = "held_dropped";
pub(super) const FLAGGED_SESSIONS: &str = "flagged_sessions";
