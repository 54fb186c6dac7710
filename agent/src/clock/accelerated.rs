//! Real time that runs faster by a factor, and the randomness of the operating system.
//!
//! For measurements and tests that must see many slots and sessions of an agent go through a real Tor:
//! only what the [`crate::Clock`] measures is shortened. What Tor does, and the limits on a single push, take
//! as long as ever. Nothing in an agent's life is shorter in reality than the schedule divided by the factor.

use std::time::Duration;

use super::{Hold, Moment, Randomness, Sleep, Source, system::System};

pub(super) struct Accelerated {
    real: System,
    factor: u32,
}

impl Accelerated {
    pub(super) fn new(factor: u32) -> Self {
        Self { real: System::new(), factor: factor.max(1) }
    }
}

impl Source for Accelerated {
    fn now(&self) -> Moment {
        self.real.now().saturating_mul(self.factor)
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        // Rounded up, so that the moment has come when the sleep is over.
        self.real.sleep_until(moment / self.factor + Duration::from_nanos(1))
    }

    fn randomness(&self) -> Randomness {
        self.real.randomness()
    }

    fn fill_secret(&self, secret: &mut [u8; 32]) {
        self.real.fill_secret(secret);
    }

    fn hold(&self) -> Option<Hold> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_of_a_minute_ends_after_a_minute_of_its_own_clock() {
        let clock = Accelerated::new(10_000);
        let end = clock.now() + Duration::from_mins(1);
        let real = System::new();
        clock.sleep_until(end).await;
        assert!(clock.now() >= end, "woken early");
        assert!(real.now() >= Duration::from_millis(5), "slept for {:?}", real.now());
    }
}
