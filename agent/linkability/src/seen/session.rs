//! What can be known of one session from its parcels.

use std::collections::BTreeMap;

use super::{Arrival, Names};

/// Periods in seconds that send times might keep a phase of: ticks, intervals, means of the rhythm.
pub const PERIODS: [f64; 5] = [60.0, 180.0, 240.0, 300.0, 600.0];

/// A point that claims to be more intervals old than this carries a time of another kind.
const INTERVALS_LIMIT: f64 = 1e6;

/// A session, as the ingest side can describe it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Session {
    /// Not seen, but known here: whose it is.
    pub agent: u32,
    /// The ID that it gives itself.
    pub id: u128,
    /// When its first parcel arrived, in seconds.
    pub begin: f64,
    /// When its last parcel arrived that had not waited, in seconds.
    pub end: f64,
    /// When its last parcel arrived that had waited, if one had.
    pub late: Option<f64>,
    /// How old the oldest parcel was, in units of ten minutes.
    pub oldest: u8,
    /// Circuits that it came through, the first and the last.
    pub circuits: [u128; 2],
    /// How many parcels came.
    pub parcels: u32,
    /// How many intervals the first parcel covers.
    pub first_intervals: f64,
    /// The first and the last parcel's ID.
    pub parcel_ids: [u128; 2],
    /// Mean length of its requests, in bytes.
    pub length: f64,
    /// For each of [`PERIODS`] the mean of send times on a circle: its cosine and sine.
    pub phases: [[f64; 2]; PERIODS.len()],
    /// What its totals held before its first interval, summed over all counts.
    pub excess: f64,
    /// What its totals came to, summed over all counts.
    pub total: f64,
    /// How far its clock is from the ingest side's, in seconds, if it tells one.
    pub clock: Option<f64>,
    /// For each number: its first and last value, and its mean over the session's intervals; logarithms.
    pub values: BTreeMap<String, Value>,
}

/// One number over a session, by the logarithm of one more than its size.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Value {
    /// The earliest.
    pub first: f64,
    /// The latest.
    pub last: f64,
    /// The mean.
    pub mean: f64,
    /// How many were seen.
    pub count: u32,
}

/// The sessions of one agent, from all that arrived of it.
pub fn sessions(
    agent: u32,
    arrivals: &[Arrival],
    names: &Names,
    with_values: bool,
) -> Vec<Session> {
    let mut lives: BTreeMap<u32, Vec<&Arrival>> = BTreeMap::new();
    for arrival in arrivals {
        lives.entry(arrival.life).or_default().push(arrival);
    }
    lives.into_values().map(|life| session(agent, &life, names, with_values)).collect()
}

fn session(agent: u32, arrivals: &[&Arrival], names: &Names, with_values: bool) -> Session {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return Session::default();
    };
    let count = arrivals.len() as f64;
    let fresh = arrivals.iter().rev().find(|arrival| arrival.age == 0).unwrap_or(first);
    let aged = arrivals.iter().rev().find(|arrival| arrival.age > 0);
    let intervals = |arrival: &Arrival| {
        let before = arrival.facts.iter().map(|fact| fact.before as f64);
        before.filter(|before| *before < INTERVALS_LIMIT).fold(-1.0, f64::max) + 1.0
    };
    let mut session = Session {
        agent,
        id: first.session,
        begin: first.at,
        end: fresh.at,
        late: aged.map(|arrival| arrival.at),
        oldest: arrivals.iter().map(|arrival| arrival.age).max().unwrap_or_default(),
        circuits: [first.circuit, last.circuit],
        parcels: arrivals.len() as u32,
        first_intervals: intervals(first),
        parcel_ids: [first.parcel, last.parcel],
        length: arrivals.iter().map(|arrival| arrival.length as f64).sum::<f64>() / count,
        ..Session::default()
    };
    for (period, phase) in PERIODS.iter().zip(&mut session.phases) {
        for arrival in arrivals {
            let (sine, cosine) = (std::f64::consts::TAU * arrival.at / period).sin_cos();
            *phase = [phase[0] + cosine / count, phase[1] + sine / count];
        }
    }
    session.read_totals(arrivals, names);
    session.read_clock(arrivals);
    if with_values {
        session.read_values(arrivals, names);
    }
    session
}

impl Session {
    /// A total that is more than its interval's share, when it is first told, counts from before the session.
    fn read_totals(&mut self, arrivals: &[&Arrival], names: &Names) {
        let names = names.list();
        let field = |name: u16, field: &str| {
            names.get(usize::from(name)).and_then(|name| name.strip_suffix(field))
        };
        let mut series: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for arrival in arrivals {
            // What stands side by side is of one point: count, then delta, by name.
            for pair in arrival.facts.windows(2) {
                let (Some(count), Some(delta)) =
                    (field(pair[0].name, " count"), field(pair[1].name, " delta"))
                else {
                    continue;
                };
                if count == delta {
                    let told = series.entry(count);
                    let excess = pair[0].value - pair[1].value;
                    told.or_insert((excess, pair[0].value)).1 = pair[0].value;
                }
            }
        }
        // Rounded numbers differ by their rounding.
        self.excess = series.values().map(|(excess, _)| excess.max(0.0)).sum();
        self.total = series.values().map(|(_, total)| total.abs()).sum();
    }

    fn read_clock(&mut self, arrivals: &[&Arrival]) {
        let mut offsets: Vec<f64> = Vec::new();
        for arrival in arrivals {
            let latest = arrival.facts.iter().map(|fact| fact.before as f64).fold(0.0, f64::max);
            if latest >= INTERVALS_LIMIT {
                offsets.push(latest / 1_000.0 - arrival.at);
            }
        }
        offsets.sort_by(f64::total_cmp);
        self.clock = offsets.get(offsets.len() / 2).copied();
    }

    fn read_values(&mut self, arrivals: &[&Arrival], names: &Names) {
        let mut values = vec![Value::default(); names.list().len()];
        for arrival in arrivals {
            for fact in &arrival.facts {
                let Some(value) = values.get_mut(usize::from(fact.name)) else { continue };
                let now = fact.value.abs().ln_1p();
                if value.count == 0 {
                    value.first = now;
                }
                value.last = now;
                value.mean += now;
                value.count += 1;
            }
        }
        for (name, mut value) in names.list().iter().zip(values) {
            // Totals grow with time, whatever was counted: their differences say it better.
            if value.count > 0 && !name.ends_with(" count") {
                value.mean /= f64::from(value.count);
                self.values.insert(name.clone(), value);
            }
        }
    }
}
