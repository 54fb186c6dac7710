//! Time that jumps to the next moment by itself, as soon as its one sleeper sleeps and nothing holds it.
//!
//! Everything happens on the thread that polls, so a simulated day costs what the agent does in it and no
//! hand-over between threads.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use super::{Held, Hold, Moment, Randomness, Sleep, Source};

/// What is told of each moment before the sleeper wakes.
type Passing = Box<dyn FnMut(Moment) + Send>;

pub(super) struct Jumping(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    passing: Mutex<Passing>,
    holds: AtomicUsize,
    end: Moment,
    over: Arc<Notify>,
}

struct State {
    now: Moment,
    seeds: Randomness,
}

/// A clock that runs until `end`; `over` is notified then, and who sleeps past it sleeps for ever.
pub(super) fn new(seed: u64, end: Duration, over: Arc<Notify>, passing: Passing) -> Jumping {
    let state = Mutex::new(State { now: Moment::ZERO, seeds: Randomness::seed_from_u64(seed) });
    let (passing, holds) = (Mutex::new(passing), AtomicUsize::new(0));
    Jumping(Arc::new(Shared { state, passing, holds, end, over }))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jump(&self, moment: Moment) -> Poll<()> {
        // Whoever holds time still goes on, and the sleeper sleeps anew afterwards.
        if self.holds.load(Ordering::Relaxed) > 0 {
            return Poll::Pending;
        }
        let now = self.lock().now.max(moment).min(self.end);
        self.lock().now = now;
        (self.passing.lock().unwrap_or_else(PoisonError::into_inner))(now);
        if moment >= self.end {
            self.over.notify_one();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Source for Jumping {
    fn now(&self) -> Moment {
        self.0.lock().now
    }

    fn sleep_until(&self, moment: Moment) -> Sleep {
        let shared = Arc::clone(&self.0);
        Box::pin(poll_fn(move |_| shared.jump(moment)))
    }

    fn randomness(&self) -> Randomness {
        Randomness::from_rng(&mut self.0.lock().seeds)
    }

    fn fill_secret(&self, secret: &mut [u8; 32]) {
        self.randomness().fill_bytes(secret);
    }

    fn hold(&self) -> Option<Hold> {
        self.0.holds.fetch_add(1, Ordering::Relaxed);
        Some(Hold::of(Arc::clone(&self.0) as Arc<dyn Held>))
    }
}

impl Held for Shared {
    fn release(&self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }
}
