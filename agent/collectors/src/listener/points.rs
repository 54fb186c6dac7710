//! A body's lines, handed over as points with times in nanoseconds. A bad line costs only itself.

use undertone_wire::{
    Point,
    influxdb::{Precision, Text},
};

use super::{Accept, Full};

/// Points that are handed over together, at most. So few stay in the processor's cache, and take no
/// more memory for a large body than for a small one: that makes it three times as fast.
const POINTS_A_CALL: usize = 256;
/// So many bad lines are told of; a client that sends more has one fault, not many.
const ERRORS_LIMIT: usize = 5;

/// What became of lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) taken: usize,
    pub(super) refused: usize,
    /// What is wrong with the first of those that were refused.
    pub(super) errors: Vec<String>,
}

/// Hands over lines whose times are in `precision`; those without one are of `now`.
pub(super) async fn hand_over(
    body: &[u8],
    precision: Precision,
    now_nanoseconds: i64,
    accept: &impl Accept,
) -> Result<Outcome, Full> {
    let mut outcome = Outcome::default();
    let hand = |points: Vec<Point>, taken: usize| match taken {
        0 => accept.accept(points),
        _ => accept.accept_further(points),
    };
    let text = Text::of(body);
    let mut points = Vec::with_capacity(POINTS_A_CALL);
    for point in text.points(precision, now_nanoseconds) {
        match point {
            Ok(point) => points.push(point),
            Err(error) => outcome.refuse(|| text.explain(&error)),
        }
        if points.len() == POINTS_A_CALL {
            let full = std::mem::replace(&mut points, Vec::with_capacity(POINTS_A_CALL));
            hand(full, outcome.taken)?;
            outcome.taken += POINTS_A_CALL;
            // The runtime has more to do than this body.
            tokio::task::yield_now().await;
        }
    }
    if !points.is_empty() {
        let rest = points.len();
        hand(points, outcome.taken)?;
        outcome.taken += rest;
    }
    Ok(outcome)
}

impl Outcome {
    fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.refused += 1;
        if self.errors.len() < ERRORS_LIMIT {
            self.errors.push(why());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;

    /// Full after the first points, but for the rest of a request.
    #[derive(Clone, Default)]
    struct Narrow(Arc<Mutex<usize>>);

    impl Accept for Narrow {
        fn accept(&self, points: Vec<Point>) -> Result<(), Full> {
            let mut taken = self.0.lock().unwrap();
            if *taken > 0 {
                return Err(Full { retry_after: Duration::from_secs(1) });
            }
            *taken += points.len();
            Ok(())
        }

        fn accept_further(&self, points: Vec<Point>) -> Result<(), Full> {
            *self.0.lock().unwrap() += points.len();
            Ok(())
        }
    }

    #[test]
    fn a_request_is_taken_whole_or_not_at_all() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (body, accept) = ("hits value=1\n".repeat(1_000), Narrow::default());
        let taken = |accept: &Narrow| *accept.0.lock().unwrap();
        let hand = || hand_over(body.as_bytes(), Precision::NANOSECONDS, 1, &accept);
        assert_eq!(runtime.block_on(hand()).unwrap().taken, 1_000);
        assert!(runtime.block_on(hand()).is_err());
        assert_eq!(taken(&accept), 1_000, "nothing of the second");
    }
}
