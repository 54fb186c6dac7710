//! Real time, by the operating system's monotonic clock, which on Linux counts a suspended machine's
//! sleep, too: a parcel ages while its machine sleeps.

use std::time::Duration;

use rand::{Rng, SeedableRng, TryRng, rngs::SysRng};
use rustix::time::{ClockId, clock_gettime};

use super::{Hold, Moment, Randomness, Sleep, Source};

pub(super) struct System {
    beginning: Duration,
}

impl System {
    pub(super) fn new() -> Self {
        Self { beginning: monotonic() }
    }
}

impl Source for System {
    fn now(&self) -> Moment {
        monotonic().saturating_sub(self.beginning)
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        Box::pin(tokio::time::sleep(moment.saturating_sub(self.now())))
    }

    fn randomness(&self) -> Randomness {
        Randomness::try_from_rng(&mut SysRng).unwrap_or_else(|_| rand::make_rng())
    }

    fn fill_secret(&self, secret: &mut [u8; 32]) {
        if SysRng.try_fill_bytes(secret).is_err() {
            // As above: a host must not panic.
            self.randomness().fill_bytes(secret);
        }
    }

    fn hold(&self) -> Option<Hold> {
        None
    }
}

/// Time since some beginning that is the same for all of a process's life.
fn monotonic() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    // Neither number is ever negative; nanoseconds are below a second.
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
