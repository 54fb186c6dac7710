//! What judges parcels, as all of a proxy share it: [`Plausible`] with a clock.
//!
//! A parcel is judged inside the transaction that admits it, when it is certain that it wasn't there
//! before: what is claimed is counted once, however often and on however many streams it comes. If that
//! transaction fails, all is forgotten, and rules begin anew.

use std::{
    hash::RandomState,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use undertone_wire::{
    Point,
    parcel::Age,
    reading::Reading,
    schema::{Measurement, Schema},
    session::SessionId,
};

use super::plausible::{Claim, Claims, Plausible};
use crate::{
    config::FalseData,
    queue::{Hold, Holding, Judge},
};

/// Judges what sessions claim.
#[derive(Debug)]
pub(crate) struct Doubt {
    rules: FalseData,
    /// So that nobody can choose which series are taken for one.
    hasher: RandomState,
    plausible: Arc<Mutex<Plausible>>,
    clock: Arc<Mutex<Clock>>,
}

/// A time that never falls behind the time that has passed: neither when the machine sleeps, nor when its
/// clock is set back.
#[derive(Debug)]
struct Clock {
    passed: Duration,
    monotonic: Instant,
    wall: SystemTime,
}

impl Doubt {
    pub(crate) fn new(rules: FalseData) -> Self {
        let clock = Clock {
            // Long enough that what was before the start has a time, too.
            passed: Duration::from_secs(365 * 24 * 3_600),
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        };
        Self {
            rules,
            hasher: RandomState::new(),
            plausible: Arc::default(),
            clock: Arc::new(Mutex::new(clock)),
        }
    }

    /// What a point claims; none where nothing is looked at.
    pub(crate) fn claim(
        &self,
        point: &Point,
        slot: u32,
        schema: &Schema,
        declared: (&Measurement, &Reading),
    ) -> Option<Claim> {
        if self.rules.action == Holding::Off {
            return None;
        }
        let most = self.rules.max_sum_per_interval.get(point.measurement.as_str()).copied();
        Some(Claim::of(point, slot, schema, declared, most, &self.hasher))
    }

    /// The judge of a parcel, to be asked when it is admitted. None where nothing is looked at.
    pub(crate) fn judge(
        &self,
        session: SessionId,
        age: Age,
        points: Vec<Option<Claim>>,
    ) -> Option<Judge> {
        if self.rules.action == Holding::Off || points.is_empty() {
            return None;
        }
        let (plausible, clock) = (Arc::clone(&self.plausible), Arc::clone(&self.clock));
        let claims = Claims { session, age, arrived: lock(&clock).now(), points };
        let forgetful = Arc::clone(&plausible);
        Some(Judge {
            session: session.to_string(),
            judge: Arc::new(move || {
                let now = lock(&clock).now();
                let impossible = lock(&plausible).judge(&claims, now);
                let hold =
                    |it: super::plausible::Impossible| Hold { point: it.point, reason: it.reason };
                impossible.into_iter().map(hold).collect()
            }),
            forget: Arc::new(move || lock(&forgetful).forget()),
        })
    }
}

impl Clock {
    fn now(&mut self) -> Duration {
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let by_wall = wall.duration_since(self.wall).unwrap_or_default();
        self.passed += by_wall.max(monotonic.saturating_duration_since(self.monotonic));
        (self.monotonic, self.wall) = (monotonic, wall);
        self.passed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
