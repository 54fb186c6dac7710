//! Time that passes when it is told to, one sleeper at a time.
//!
//! Time moves only while the agent's one task sleeps and holds nothing, so what happens at one
//! moment is over before the next one comes, whatever the threads do: runs of a seed are equal.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

use super::{Held, Hold, Moment, Randomness, Sleep, Source};

pub(super) struct Simulated(Arc<Shared>);

/// Moves the time of a simulated [`crate::Clock`].
pub struct Hands(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    now: Moment,
    seed: u64,
    generators: u64,
    holds: usize,
    sleeper: Option<(Moment, oneshot::Sender<()>)>,
}

pub(super) fn new(seed: u64) -> (Simulated, Hands) {
    let state = Mutex::new(State { seed, ..State::default() });
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    (Simulated(Arc::clone(&shared)), Hands(shared))
}

impl Hands {
    /// Lets `duration` pass. Returns when the agent has done everything that falls into it and
    /// sleeps again; blocks the thread, and for ever if the agent has stopped.
    pub fn advance(&self, duration: Duration) {
        let end = self.0.lock().now + duration;
        loop {
            let mut state = self.0.asleep();
            match state.sleeper.take() {
                Some((moment, wake)) if moment <= end => {
                    state.now = state.now.max(moment);
                    // A sleeper that has gone away meanwhile will sleep anew.
                    let _ = wake.send(());
                }
                sleeper => {
                    state.sleeper = sleeper;
                    state.now = end;
                    return;
                }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the agent sleeps and nothing holds time still.
    fn asleep(&self) -> MutexGuard<'_, State> {
        let quiet = |state: &mut State| {
            state.holds > 0 || state.sleeper.as_ref().is_none_or(|(_, wake)| wake.is_closed())
        };
        self.changed.wait_while(self.lock(), quiet).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Simulated {
    fn now(&self) -> Moment {
        self.0.lock().now
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        let (wake, woken) = oneshot::channel();
        self.0.lock().sleeper = Some((moment, wake));
        self.0.changed.notify_all();
        Box::pin(async move {
            // The sender is replaced only by a later sleep of the same task.
            let _ = woken.await;
        })
    }

    fn randomness(&self) -> Randomness {
        let mut state = self.0.lock();
        state.generators += 1;
        Randomness::seed_from_u64(state.seed.wrapping_mul(1_000).wrapping_add(state.generators))
    }

    fn fill_secret(&self, secret: &mut [u8; 32]) {
        self.randomness().fill_bytes(secret);
    }

    fn hold(&self) -> Option<Hold> {
        self.0.lock().holds += 1;
        Some(Hold::of(Arc::clone(&self.0) as Arc<dyn Held>))
    }
}

impl Held for Shared {
    fn release(&self) {
        self.lock().holds -= 1;
        self.changed.notify_all();
    }
}
