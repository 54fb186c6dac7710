//! What one point claims, and what it says by itself.
//!
//! Numbers are rounded before they leave: a claim is taken for the least that it can mean.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use undertone_wire::{
    Point,
    reading::Reading,
    schema::{Digits, Kind, Measurement, Pace, Schema},
};

/// Near the end of 64 bits totals stand still.
const TOTAL_LIMIT: i64 = i64::MAX / 2;

/// What a point claims.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Which series, among those of a session.
    pub(super) series: u64,
    /// How many intervals before sealing it ended.
    pub(super) slot: u32,
    pub(super) interval: Duration,
    pub(super) pace: Pace,
    digits: Digits,
    delta: Option<i64>,
    pub(super) count: Option<i64>,
    /// Events a second, the greatest of its rates.
    rate: f64,
    /// Whether its total can't fall.
    pub(super) only_grows: bool,
    pub(super) weight: Option<Weight>,
}

/// What it adds to a measurement that the operator has set a greatest weight for.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    pub(super) measurement: u64,
    pub(super) amount: f64,
    pub(super) most_per_interval: f64,
}

impl Claim {
    /// What `point`, read as `reading`, claims. `most_per_interval` is the most that one session may add.
    pub(crate) fn of(
        point: &Point,
        slot: u32,
        schema: &Schema,
        (measurement, reading): (&Measurement, &Reading),
        most_per_interval: Option<f64>,
        hasher: &RandomState,
    ) -> Self {
        let digits = measurement.digits;
        let rate = match reading {
            Reading::Meter(rates) | Reading::Timer { rates, .. } => {
                [rates.m1, rates.m5, rates.m15, rates.mean]
                    .into_iter()
                    .fold(0.0, |most: f64, rate| most.max(rate.abs()))
            }
            _ => 0.0,
        };
        let weight =
            most_per_interval.zip(amount(reading)).map(|(most_per_interval, amount)| Weight {
                measurement: hasher.hash_one(&point.measurement),
                amount: least(amount.abs(), digits),
                most_per_interval,
            });
        Self {
            series: hasher.hash_one((&point.measurement, &point.tags)),
            slot,
            interval: schema.interval(),
            pace: measurement.pace(),
            digits,
            delta: reading.delta(),
            count: reading.count(),
            rate,
            only_grows: matches!(measurement.kind, Kind::Histogram | Kind::Timer),
            weight,
        }
    }

    /// The least number of events that it can mean, either way.
    pub(super) fn least_events(&self) -> f64 {
        self.delta.map_or(0.0, |delta| least((delta as f64).abs(), self.digits))
    }

    /// Whether it says more than can happen in this time: an agent's gate cuts off what is more.
    pub(super) fn exceeds(&self, window: Duration) -> bool {
        self.least_events() > self.pace.most_in(window) as f64
            || least(self.rate, self.digits) > self.pace.per_second() as f64
    }

    /// Whether its total is the one before and what it adds. A batch is in one parcel: nothing is lost between.
    pub(super) fn continues(&self, before: Option<i64>, window: Duration) -> bool {
        let (Some(count), Some(delta), Some(before)) = (self.count, self.delta, before) else {
            return true;
        };
        // Where intervals were merged for so long, more was counted than told.
        let is_cut_off = window >= undertone_wire::schema::LONGEST_SPAN
            && self.least_events() * 2.0 >= self.pace.most_in(window) as f64;
        if is_cut_off || count.abs().max(before.abs()) > TOTAL_LIMIT {
            return true;
        }
        let off = i128::from(count) - i128::from(before) - i128::from(delta);
        off.unsigned_abs() <= self.error(count) + self.error(before) + self.error(delta)
    }

    /// By how much rounding can have changed a number.
    pub(super) fn error(&self, number: i64) -> u128 {
        match self.digits {
            Digits::All => 0,
            Digits::Rounded(digits) => {
                let units = 2 * 10_u128.pow(u32::from(digits.saturating_sub(1)));
                u128::from(number.unsigned_abs()) / units + 1
            }
        }
    }
}

/// The least that a rounded number can have been.
fn least(number: f64, digits: Digits) -> f64 {
    match digits {
        Digits::All => number,
        Digits::Rounded(digits) => {
            // Sums of floating-point numbers are off by less than this.
            let share = 0.5 * 10_f64.powi(1 - i32::from(digits)) + 1e-9;
            number * (1.0 - share)
        }
    }
}

/// What a reading adds to sums over all sessions.
fn amount(reading: &Reading) -> Option<f64> {
    match reading {
        Reading::Histogram { distribution, .. } | Reading::Timer { distribution, .. } => {
            Some(distribution.sum as f64)
        }
        other => other.delta().map(|delta| delta as f64),
    }
}
