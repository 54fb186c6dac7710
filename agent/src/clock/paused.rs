//! tokio's own time, which a test lets stand still or jump, with machines that sleep as Linux has them:
//! time goes on while they do, and timers don't.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::{Clock, Hold, Moment, Randomness, Sleep, Source};

pub(crate) struct Paused {
    beginning: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slept: Duration,
    seed: u64,
    generators: u64,
}

impl Paused {
    /// To be called in a tokio runtime whose time is paused.
    pub(crate) fn new(seed: u64) -> Self {
        let state = Mutex::new(State { seed, ..State::default() });
        Self { beginning: Instant::now(), state }
    }

    /// The machine sleeps: the time is another one, and nothing was done in between.
    pub(crate) fn suspend(&self, duration: Duration) {
        self.change(|state| state.slept += duration);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source for Paused {
    fn now(&self) -> Moment {
        self.beginning.elapsed() + self.change(|state| state.slept)
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        Box::pin(tokio::time::sleep(moment.saturating_sub(self.now())))
    }

    fn randomness(&self) -> Randomness {
        self.change(|state| {
            state.generators += 1;
            Randomness::seed_from_u64(state.seed.wrapping_mul(1_000_000) + state.generators)
        })
    }

    fn fill_secret(&self, secret: &mut [u8; 32]) {
        self.randomness().fill_bytes(secret);
    }

    fn hold(&self) -> Option<Hold> {
        None
    }
}

impl Clock {
    /// A clock that a test has in its hands.
    pub(crate) fn paused(source: std::sync::Arc<Paused>) -> Self {
        Self(source)
    }
}
