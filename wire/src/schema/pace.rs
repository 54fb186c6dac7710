//! How much can happen in a time: what tells a count that may be from one that can't.
//!
//! An agent cuts off what is beyond it, so that a proxy can take what is beyond it for false. Both must
//! hold the same.

use std::time::Duration;

use crate::reading::Reading;

/// What a measurement that declares nothing can count in a second: what no machine of today exceeds, be it
/// in bytes or in nanoseconds of all of its processors.
pub const FASTEST: u64 = 1_000_000_000_000;

/// The longest time that one point speaks for. Where intervals are merged and no batch is cut for longer,
/// the agent tells what can happen in this time, and no more.
pub const LONGEST_SPAN: Duration = Duration::from_secs(6 * 3_600);

/// The most events a second of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(u64);

impl Pace {
    /// At most so many a second; [`FASTEST`] where nothing is declared.
    pub(super) fn new(max_per_second: Option<u64>) -> Self {
        Self(max_per_second.unwrap_or(FASTEST))
    }

    /// The most in a second.
    pub fn per_second(self) -> u64 {
        self.0
    }

    /// The most in this time; what 64 bits can't hold is their end.
    pub fn most_in(self, time: Duration) -> i64 {
        let most = u128::from(self.0) * time.as_nanos() / 1_000_000_000;
        i64::try_from(most).unwrap_or(i64::MAX)
    }

    /// The reading with no more events than can happen in this time, either way, and no rate above that.
    #[must_use]
    pub fn bound(self, reading: &Reading, time: Duration) -> Reading {
        // Rates are floating-point numbers: the nearest to the bound will do.
        reading.bounded(self.most_in(time), self.0 as f64)
    }
}

/// The most that one point of a schema with this interval can say.
pub fn longest_span(interval: Duration) -> Duration {
    interval.max(LONGEST_SPAN)
}

#[cfg(test)]
mod tests {
    use undertone_instruments::Histogram;

    use super::*;
    use crate::reading::Rates;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_bound_is_what_happens_in_a_time() {
        assert_eq!(Pace::new(Some(10)).most_in(MINUTE), 600);
        assert_eq!(Pace::new(None).most_in(MINUTE), 60_000_000_000_000);
        assert_eq!(Pace::new(Some(u64::MAX)).most_in(MINUTE), i64::MAX);
        assert_eq!(longest_span(MINUTE), LONGEST_SPAN);
    }

    #[test]
    fn what_is_beyond_the_bound_is_cut_off_either_way() {
        let pace = Pace::new(Some(1));
        let bound = |reading: Reading| pace.bound(&reading, MINUTE);
        assert_eq!(bound(Reading::counter(7, 61)), Reading::counter(7, 60));
        assert_eq!(bound(Reading::counter(7, i64::MIN)), Reading::counter(7, -60));
        assert_eq!(bound(Reading::counter(7, 60)), Reading::counter(7, 60));
        assert_eq!(bound(Reading::GaugeInteger(1_000)), Reading::GaugeInteger(1_000));
        let rates = Rates { count: 99, delta: 99, m1: 2.0, m5: 0.5, m15: -3.0, mean: 1.0 };
        let slower = Rates { count: 99, delta: 60, m1: 1.0, m5: 0.5, m15: -1.0, mean: 1.0 };
        assert_eq!(bound(Reading::Meter(rates)), Reading::Meter(slower));
    }

    #[test]
    fn a_distribution_keeps_its_shape_and_agrees_with_itself() {
        let histogram: Histogram = Histogram::default();
        (0..1_000).for_each(|value| histogram.update(value));
        let bounded =
            Pace::new(Some(1)).bound(&Reading::histogram(1_000, histogram.take()), MINUTE);
        let Reading::Histogram { count, distribution } = &bounded else { panic!() };
        assert_eq!(*count, 1_000);
        assert!((1..=60).contains(&distribution.count), "{}", distribution.count);
        assert!(distribution.mean() > 400.0, "{}", distribution.mean());
        let read = Reading::from_fields(bounded.kind(), &bounded.fields());
        assert_eq!(read.as_ref(), Some(&bounded));
    }
}
