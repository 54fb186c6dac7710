//! What speaks for or against two sessions being of one agent: one number for each kind of evidence, and
//! what such a number is worth, learned from pairs of which the truth is known.

use crate::seen::{PERIODS, Session};

/// A kind of evidence: from an older and a newer session to a number, small where they fit.
#[derive(Clone, Copy)]
pub struct Evidence {
    /// What it is called.
    pub name: &'static str,
    /// Its number; negative where nothing can be said.
    pub of: fn(&Session, &Session) -> f64,
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const NOTHING: f64 = -1.0;

/// How long after the older one's end the newer one began.
pub const GAP: Evidence =
    Evidence { name: "gap", of: |older, newer| (newer.begin - older.end).max(0.0) };

/// Whether send times keep a phase of some period.
pub const PHASE: Evidence = Evidence { name: "phase of send times", of: phase };

/// Whether totals go on.
pub const CONTINUITY: Evidence = Evidence { name: "totals that go on", of: continuity };

/// Whether as many parcels came, of as many intervals; whether parcel IDs go on.
pub const COUNTS: Evidence = Evidence {
    name: "number of parcels",
    of: |older, newer| (f64::from(newer.parcels).ln() - f64::from(older.parcels).ln()).abs(),
};

/// The same of the intervals in the first parcel.
pub const INTERVALS: Evidence = Evidence {
    name: "intervals in the first parcel",
    of: |older, newer| (newer.first_intervals - older.first_intervals).abs(),
};

/// Whether parcel IDs go on.
pub const NUMBERING: Evidence = Evidence {
    name: "parcel IDs that go on",
    of: |older, newer| (newer.parcel_ids[0].abs_diff(older.parcel_ids[1]) as f64).ln_1p(),
};

/// How far the newer one's beginning is from where the older one last sent what had waited.
pub const WAITED: Evidence = Evidence {
    name: "parcels that waited",
    of: |older, newer| older.late.map_or(NOTHING, |late| (newer.begin - late).abs()),
};

/// Whether both met outages of the same length.
pub const AGES: Evidence = Evidence {
    name: "ages",
    of: |older, newer| match (older.oldest, newer.oldest) {
        (0, 0) => NOTHING,
        (a, b) => f64::from(a.abs_diff(b)),
    },
};

/// Whether they share a circuit.
pub const CIRCUIT: Evidence = Evidence {
    name: "circuits",
    of: |older, newer| f64::from(u8::from(!older.circuits.contains(&newer.circuits[0]))),
};

/// Whether they share an ID.
pub const SESSION_ID: Evidence =
    Evidence { name: "session IDs", of: |older, newer| f64::from(u8::from(older.id != newer.id)) };

/// Whether requests are as long.
pub const SIZE: Evidence = Evidence {
    name: "size of requests",
    of: |older, newer| (newer.length.ln() - older.length.ln()).abs(),
};

/// Whether as many are sent in an hour.
pub const PACE: Evidence = Evidence {
    name: "requests an hour",
    of: |older, newer| {
        let pace =
            |session: &Session| f64::from(session.parcels) / (session.end - session.begin + 180.0);
        (pace(newer).ln() - pace(older).ln()).abs()
    },
};

/// Whether both clocks are wrong by as much.
pub const CLOCK: Evidence = Evidence {
    name: "clocks",
    of: |older, newer| match (older.clock, newer.clock) {
        (Some(a), Some(b)) => (a - b).abs(),
        _ => NOTHING,
    },
};

/// All evidence that isn't in what was measured.
pub const METADATA: [Evidence; 12] = [
    PHASE, CONTINUITY, COUNTS, INTERVALS, NUMBERING, WAITED, AGES, CIRCUIT, SESSION_ID, SIZE, PACE,
    CLOCK,
];

/// Whether averages begin where they ended.
pub const MEMORY: Evidence = Evidence { name: "averages that go on", of: memory };

fn phase(older: &Session, newer: &Session) -> f64 {
    let angle = |[cosine, sine]: [f64; 2]| (sine.atan2(cosine), cosine.hypot(sine));
    let far = |index: usize| {
        let ((a, a_kept), (b, b_kept)) = (angle(older.phases[index]), angle(newer.phases[index]));
        1.0 - a_kept * b_kept * (a - b).cos()
    };
    (0..PERIODS.len()).map(far).fold(f64::INFINITY, f64::min)
}

fn continuity(older: &Session, newer: &Session) -> f64 {
    // What rounding leaves between a total and its interval's share is none.
    if newer.excess <= 0.05 * newer.total.max(1.0) && newer.excess < 20.0 {
        return NOTHING;
    }
    (newer.excess.ln_1p() - older.total.ln_1p()).abs()
}

fn memory(older: &Session, newer: &Session) -> f64 {
    let (mut distance, mut count) = (0.0, 0.0);
    for (name, value) in &newer.values {
        if let Some(before) = older.values.get(name).filter(|_| name.ends_with(" m15")) {
            distance += (value.first - before.last).abs();
            count += 1.0;
        }
    }
    if count == 0.0 { NOTHING } else { distance / count }
}

/// The worth of a number, as the logarithm of how much likelier it is of one agent's sessions than of two's.
#[derive(Debug, Clone)]
pub struct Worth {
    edges: Vec<f64>,
    worth: Vec<f64>,
}

/// Of what is told apart in numbers of strangers: finest where they are smallest, since a leak shows there.
const SHARES: [f64; 14] =
    [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];
/// Pairs that every bin is given beforehand, so that what was seen once is not taken for certain.
const PRIOR: f64 = 1.0;

impl Worth {
    /// Learns from numbers of pairs of one agent, and of pairs of two.
    pub fn learn(same: &[f64], different: &mut [f64]) -> Self {
        different.sort_by(f64::total_cmp);
        // Where nothing can be said is one bin, and takes no room from the others.
        let said = &different[different.partition_point(|number| *number < 0.0)..];
        let at = |share: &f64| said.get((share * said.len() as f64) as usize).copied();
        let mut edges: Vec<f64> =
            std::iter::once(0.0).chain(SHARES.iter().filter_map(at)).collect();
        edges.dedup();
        let mut counts = vec![[PRIOR; 2]; edges.len() + 1];
        let mut all = [0.0; 2];
        for (which, numbers) in [same, different].into_iter().enumerate() {
            all[which] = numbers.len() as f64 + PRIOR * counts.len() as f64;
            for number in numbers {
                counts[bin(&edges, *number)][which] += 1.0;
            }
        }
        // A prior of strangers as large as that of the same would outweigh what is rare.
        let scale = (all[1] / all[0].max(1.0)).max(1e-9);
        let worth = counts
            .iter()
            .map(|[same, different]| {
                let different = (different - PRIOR + PRIOR * scale).max(1e-9);
                (same / all[0]).ln() - (different / all[1]).ln()
            })
            .collect();
        Self { edges, worth }
    }

    /// Learns for gaps, which are told apart by their own length: minutes at first, hours later.
    pub fn learn_gaps(same: &[f64], different: &[f64]) -> Self {
        let edges: Vec<f64> = (1..20)
            .map(|minutes| f64::from(minutes) * 60.0)
            .chain((2..8).map(|ten| f64::from(ten) * 600.0 + 600.0))
            .chain((3..48).map(|half| f64::from(half) * 1_800.0))
            .collect();
        let mut counts = vec![[0.3_f64, 0.3]; edges.len() + 1];
        for (which, numbers) in [same, different].into_iter().enumerate() {
            for number in numbers {
                counts[bin(&edges, *number)][which] += 1.0;
            }
        }
        let (same, different) = (same.len().max(1) as f64, different.len().max(1) as f64);
        let worth = counts.iter().map(|[s, d]| (s / same).ln() - (d / different).ln()).collect();
        Self { edges, worth }
    }

    /// What a number is worth.
    pub fn of(&self, number: f64) -> f64 {
        self.worth[bin(&self.edges, number)]
    }
}

fn bin(edges: &[f64], number: f64) -> usize {
    edges.partition_point(|edge| *edge <= number)
}
