//! How many requests were answered without a commit, since the start, and why.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a request was not decided about: who made it may try again later (invariant S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Its circuit asked too often: answered 503.
    Circuit,
    /// Its session asked too often: answered 503.
    Session,
    /// Its session has brought more points than it may: answered 503.
    SessionPoints,
    /// Its session has brought more parcels than can be remembered: answered 503.
    SessionParcels,
    /// Its session signs nothing, and waits for a place: answered 503.
    NewSession,
    /// Bodies of clients who sign nothing would take too much memory: answered 503.
    Bodies,
    /// It came too slowly: cut off.
    Slow,
}

impl Excess {
    const ALL: [Self; 7] = [
        Self::Circuit,
        Self::Session,
        Self::SessionPoints,
        Self::SessionParcels,
        Self::NewSession,
        Self::Bodies,
        Self::Slow,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Circuit => "circuit",
            Self::Session => "session",
            Self::SessionPoints => "session_points",
            Self::SessionParcels => "session_parcels",
            Self::NewSession => "new_session",
            Self::Bodies => "bodies",
            Self::Slow => "slow",
        }
    }
}

/// Requests that no commit holds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    malformed: AtomicU64,
    undecided: AtomicU64,
    excess: [AtomicU64; Excess::ALL.len()],
}

impl Counts {
    /// Counts a request that isn't a parcel for this deployment.
    pub(crate) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose commit failed.
    pub(super) fn count_undecided(&self) {
        self.undecided.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was too much.
    pub(crate) fn count_excess(&self, excess: Excess) {
        self.excess[excess as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests answered with `400`.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Requests answered with `503` since their commit failed.
    pub(crate) fn undecided(&self) -> u64 {
        self.undecided.load(Ordering::Relaxed)
    }

    /// Requests that were too much, by reason.
    pub(crate) fn excess(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |excess: Excess| self.excess[excess as usize].load(Ordering::Relaxed);
        Excess::ALL.into_iter().map(move |excess| (excess.name(), count(excess)))
    }
}
