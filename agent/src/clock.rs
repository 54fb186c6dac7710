//! All of the agent's time and randomness.
//!
//! The agent reads no wall clock: it counts the time since it was started, so a clock that is set
//! back or forward changes nothing and there is no time to leak (invariant P6). Under
//! [`Clock::simulated`] a day runs in a second, and a seed decides every draw.

mod accelerated;
mod jumping;
#[cfg(test)]
pub(crate) mod paused;
mod simulated;
mod system;

use std::{fmt, sync::Arc, time::Duration};

use rand::rngs::StdRng;

use tokio::sync::Notify;

pub use simulated::Hands;

/// A point in time: how long after the clock began.
pub(crate) type Moment = Duration;

/// A cryptographic generator; ChaCha12.
pub(crate) type Randomness = StdRng;

/// A future without result, of a type that no name is needed for.
type Sleep = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where an agent takes its time and its randomness from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

/// The kinds of clock.
trait Source: Send + Sync {
    fn now(&self) -> Moment;
    fn sleep_until(&self, moment: Moment) -> Sleep;
    fn randomness(&self) -> Randomness;
    /// Fills `secret`, and keeps nothing that it could be found again from.
    fn fill_secret(&self, secret: &mut [u8; 32]);
    /// Time must not pass by itself while what is returned lives.
    fn hold(&self) -> Option<Hold>;
}

/// Keeps simulated time still while it lives.
pub(crate) struct Hold(Arc<dyn Held>);

/// A clock that can be kept still.
trait Held: Send + Sync {
    fn release(&self);
}

impl Hold {
    fn of(held: Arc<dyn Held>) -> Self {
        Self(held)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Clock {
    /// Real time, and randomness of the operating system.
    pub fn system() -> Self {
        Self(Arc::new(system::System::new()))
    }

    /// Real time that passes `factor` times as fast (at least once), and randomness of the operating system.
    ///
    /// For measurements and tests alone: an agent with it makes as many requests in a minute as others in
    /// `factor` minutes. Tor, and the limits on each push, keep to real time.
    pub fn accelerated(factor: u32) -> Self {
        Self(Arc::new(accelerated::Accelerated::new(factor)))
    }

    /// Time that passes when the [`Hands`] are moved, and randomness that follows from `seed`.
    ///
    /// For tests alone: whoever knows the seed knows the keys.
    pub fn simulated(seed: u64) -> (Self, Hands) {
        let (source, hands) = simulated::new(seed);
        (Self(Arc::new(source)), hands)
    }

    /// Time that jumps from one moment to the next until `end`, when `over` is notified. `passing` is told of
    /// each moment before anything happens in it.
    pub(crate) fn jumping(
        seed: u64,
        end: Duration,
        over: Arc<Notify>,
        passing: impl FnMut(Moment) + Send + 'static,
    ) -> Self {
        Self(Arc::new(jumping::new(seed, end, over, Box::new(passing))))
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.now()
    }

    pub(crate) fn sleep_until(&self, moment: Moment) -> Sleep {
        self.0.sleep_until(moment)
    }

    /// A generator of its own for one user.
    pub(crate) fn randomness(&self) -> Randomness {
        self.0.randomness()
    }

    /// What a key is made of, straight from the operating system: whoever sees the state of a generator
    /// can compute what it has given before.
    pub(crate) fn fill_secret(&self, secret: &mut [u8; 32]) {
        self.0.fill_secret(secret);
    }

    /// Keeps simulated time still for as long as the guard lives.
    pub(crate) fn hold(&self) -> Option<Hold> {
        self.0.hold()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
