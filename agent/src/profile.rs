//! The two profiles, and everything in which they differ. Nothing else in the agent asks which one
//! it runs under.

use std::time::Duration;

use crate::{rotation::Rotation, scope::Scope};

/// A shorter rhythm would keep a core busy; one of zero for ever.
const SHORTEST: Duration = Duration::from_millis(50);
/// A longer one would outlast what the proxy remembers of parcels.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// For whom an agent measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Profile {
    /// Machines of other people: the default.
    #[default]
    Anonymous,
    /// Machines of one's own, where a short rhythm and a push at shutdown give nobody away.
    Fleet(Rhythm),
}

/// When batches are cut and parcels are sent: at exponentially distributed times, so that neither
/// says anything about what is measured (invariant P5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Mean time between two cuts.
    pub cut_mean: Duration,
    /// Mean time between two slots; one parcel is sent in each, or chaff.
    pub slot_mean: Duration,
    /// The longest time between two slots.
    pub slot_limit: Duration,
}

impl Rhythm {
    /// arti keeps an unused circuit for 10 minutes: slots are never further apart than that.
    const ANONYMOUS: Self = Self {
        cut_mean: Duration::from_secs(240),
        slot_mean: Duration::from_secs(180),
        slot_limit: Duration::from_secs(540),
    };

    /// Each slot has a circuit of its own, which needs not be kept warm, and few of them make Tor's
    /// costs bearable: the limit is one that is never met. A queue whose slots come twice as often as its
    /// batches holds a parcel for an hour, on average.
    const OF_BATCHES: Self = Self {
        cut_mean: Duration::from_secs(3_600),
        slot_mean: Duration::from_secs(1_800),
        slot_limit: LONGEST,
    };

    /// How long a parcel waits at most; its age still fits into the byte that carries it.
    const PARCEL_AGE: Duration = Duration::from_secs(24 * 3_600);
    /// With scope `batch`. Who makes one agent's parcels wait (an outage, an ingest side that doesn't answer)
    /// must not know its later ones by how old they are: as old as this is often without that, too
    /// (decision 0017).
    const PARCEL_AGE_OF_BATCHES: Duration = Duration::from_secs(2 * 3_600);

    /// A rhythm for a fleet: a cut every `mean` or so, with slots a quarter closer together.
    ///
    /// Means from 50 ms to a day are kept; others become the nearest of these.
    pub fn every(mean: Duration) -> Self {
        let mean = mean.clamp(SHORTEST, LONGEST);
        Self { cut_mean: mean, slot_mean: mean * 3 / 4, slot_limit: mean * 9 / 4 }
    }

    /// The mean time between two slots, which the limit shortens.
    pub fn slot_mean_in_effect(&self) -> Duration {
        let limit = self.slot_limit.as_secs_f64() / self.slot_mean.as_secs_f64();
        self.slot_mean.mul_f64(1.0 - (-limit).exp())
    }
}

impl Profile {
    pub(crate) fn rhythm(self, scope: Scope) -> Rhythm {
        match self {
            Self::Anonymous if scope.is_batch() => Rhythm::OF_BATCHES,
            Self::Anonymous => Rhythm::ANONYMOUS,
            Self::Fleet(Rhythm { cut_mean, slot_mean, slot_limit }) => Rhythm {
                cut_mean: cut_mean.clamp(SHORTEST, LONGEST),
                slot_mean: slot_mean.clamp(SHORTEST, LONGEST),
                slot_limit: slot_limit.clamp(SHORTEST, LONGEST),
            },
        }
    }

    /// How long a parcel waits at most.
    pub(crate) fn parcel_age(self, scope: Scope) -> Duration {
        match self {
            Self::Anonymous if scope.is_batch() => Rhythm::PARCEL_AGE_OF_BATCHES,
            Self::Anonymous | Self::Fleet(_) => Rhythm::PARCEL_AGE,
        }
    }

    /// How sessions follow each other (P3); none: one session for as long as the agent runs. With scope
    /// `batch` it is the first silence alone that counts.
    pub(crate) fn rotation(self, scope: Scope) -> Option<Rotation> {
        match self {
            Self::Anonymous => Some(Rotation {
                life_mean: scope.life_mean(),
                life_shortest: Duration::from_secs(1_800),
                life_longest: Duration::from_secs(24 * 3_600),
                silence_longest: Duration::from_secs(3_600),
            }),
            Self::Fleet(_) => None,
        }
    }

    /// Whether a host may choose how long sessions last (P3).
    pub(crate) fn has_scopes(self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Whether points that no schema declares may be taken, with their own times (P2, P6).
    pub(crate) fn may_be_open(self) -> bool {
        matches!(self, Self::Fleet(_))
    }

    /// Whether a batch is sealed also when nothing was measured (P5).
    pub(crate) fn cuts_when_empty(self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Whether what waits is on a disk, if there is a data folder, and survives the agent (P10).
    pub(crate) fn keeps_on_disk(self) -> bool {
        matches!(self, Self::Fleet(_))
    }

    /// Whether what waits is sent at once when a push got through, outside the rhythm (P5).
    pub(crate) fn sends_backlog_at_once(self) -> bool {
        matches!(self, Self::Fleet(_))
    }

    /// Whether what waits is sent at shutdown, outside the rhythm (P5). Otherwise it is gone (P10).
    pub(crate) fn drains_at_shutdown(self) -> bool {
        matches!(self, Self::Fleet(_))
    }
}
