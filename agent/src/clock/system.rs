//! Real time, by the operating system's monotonic clock.

use std::time::Instant;

use rand::{SeedableRng, rngs::SysRng};

use super::{Hold, Moment, Randomness, Sleep, Source};

pub(super) struct System {
    beginning: Instant,
}

impl System {
    pub(super) fn new() -> Self {
        Self { beginning: Instant::now() }
    }
}

impl Source for System {
    fn now(&self) -> Moment {
        self.beginning.elapsed()
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        Box::pin(tokio::time::sleep_until((self.beginning + moment).into()))
    }

    fn randomness(&self) -> Randomness {
        Randomness::try_from_rng(&mut SysRng).unwrap_or_else(|_| rand::make_rng())
    }

    fn hold(&self) -> Option<Hold> {
        None
    }
}
