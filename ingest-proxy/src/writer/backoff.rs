//! How long to wait after a failure: a pure calculation.

use std::time::Duration;

use super::{Failure, WriterLimits};
use crate::sink::SinkErrorKind;

/// The pauses between attempts.
pub(super) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
    longest_asked: Duration,
}

impl Backoff {
    pub(super) fn new(limits: &WriterLimits) -> Self {
        Self {
            next: limits.first_pause,
            first: limits.first_pause,
            longest: limits.longest_pause,
            longest_asked: limits.longest_asked,
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.next = self.first;
    }

    /// The pause after a failure: at least what the sink asked for, else between half and all
    /// of a time that doubles.
    pub(super) fn failed(&mut self, failure: &Failure) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        match failure {
            Failure::Sink(error) => match error.kind() {
                SinkErrorKind::RetryAfter(Some(asked)) => {
                    let asked = (*asked).min(self.longest_asked);
                    asked.max(self.first) + pause.mul_f64(rand::random_range(0.0..0.5))
                }
                SinkErrorKind::RetryAfter(None) | SinkErrorKind::TookTooLong => jittered(pause),
                _ => jittered(self.longest),
            },
            Failure::Queue(_) => jittered(pause),
        }
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
