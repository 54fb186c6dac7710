//! What simulated machines do: persistent traits of each, and what its program records as time passes.
//!
//! Traits are log-normal over machines, as loads of real ones are: a few have ten times what most have. Nothing
//! here is taken from anybody's data; how far it resembles yours is what `undertone score` tells.

mod draw;
mod presence;
mod programs;

pub use draw::{Draws, draws};
pub use presence::{Presence, Run, outages, runs};
pub(crate) use programs::Recorder;
pub use programs::{Browser, Feature, FileServer, Outcome, Program};

/// Seconds.
pub const MINUTE: f64 = 60.0;
/// Seconds.
pub const HOUR: f64 = 3_600.0;
/// Seconds.
pub const DAY: f64 = 24.0 * HOUR;

/// What stays the same about a machine for as long as it lives.
#[derive(Debug, Clone)]
pub struct Traits {
    /// How busy it is, beside the median machine.
    pub load: f64,
    /// How much of each kind of work it does, beside the median machine.
    pub share: [f64; 6],
    /// How slow it is, beside the median machine.
    pub slowness: f64,
    /// How many things it has open.
    pub open: f64,
    /// When its day begins, in seconds of the crowd's day: time zone and habit.
    pub morning: f64,
    /// How much its load falls at night, from 0 to 1.
    pub daily: f64,
    /// When it runs.
    pub presence: Presence,
    /// Mean time between restarts of its program, in seconds.
    pub restarts: f64,
    /// Mean time between failures of its own network, in seconds.
    pub offline: f64,
}

impl Traits {
    /// Draws a machine.
    pub fn draw(draws: &mut Draws) -> Self {
        let share = std::array::from_fn(|_| draws.log_normal(0.5));
        let presence = match draws.uniform() {
            share if share < 0.55 => Presence::Always,
            share if share < 0.85 => Presence::Daily,
            _ => Presence::Flaky,
        };
        let restarts = match presence {
            Presence::Always => 5.0 * DAY * draws.log_normal(0.7),
            Presence::Daily => 2.0 * DAY * draws.log_normal(0.7),
            Presence::Flaky => 10.0 * HOUR * draws.log_normal(0.5),
        };
        Self {
            load: draws.log_normal(1.0),
            share,
            slowness: draws.log_normal(0.5),
            open: draws.log_normal(0.8),
            morning: DAY * draws.uniform(),
            daily: 0.3 + 0.6 * draws.uniform(),
            presence,
            restarts,
            offline: 4.0 * DAY * draws.log_normal(0.7),
        }
    }

    /// How busy it is at a time, beside its own mean.
    pub fn activity(&self, at: f64) -> f64 {
        let of_day = ((at - self.morning) / DAY).rem_euclid(1.0);
        1.0 + self.daily * (std::f64::consts::TAU * (of_day - 0.1)).sin()
    }
}
