//! How often something may happen: so many in a time, and so many at once after a pause.
//!
//! The generic cell rate algorithm: all that is remembered of whoever is limited is one moment, the one
//! at which nothing of what it had would be used up any more. Pure: time is told to it.

use std::time::Duration;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Nanoseconds in which one more may happen.
    each: u64,
    /// How many may happen at once.
    burst: u64,
}

impl Rate {
    pub(crate) fn per_minute(count: u64, burst: u64) -> Self {
        Self::new(Duration::from_secs(60), count, burst)
    }

    /// `count` in each `time`, in the long run, and `burst` at once; none of them is 0.
    pub(crate) fn new(time: Duration, count: u64, burst: u64) -> Self {
        Self { each: (nanoseconds(time) / count.max(1)).max(1), burst: burst.max(1) }
    }
}

/// What somebody has used up of a [`Rate`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// When nothing is used up any more, in nanoseconds since the clock's beginning.
    until: u64,
}

impl Used {
    /// Uses up `count` more at the time `now`; `false`, and nothing changes, if that is too many.
    pub(crate) fn take(&mut self, count: u64, rate: &Rate, now: Duration) -> bool {
        let free = self.free(rate, now) >= count;
        if free {
            let more = rate.each.saturating_mul(count);
            self.until = self.until.max(nanoseconds(now)).saturating_add(more);
        }
        free
    }

    /// How many may happen now.
    pub(crate) fn free(&self, rate: &Rate, now: Duration) -> u64 {
        let behind = self.until.saturating_sub(nanoseconds(now));
        rate.burst.saturating_mul(rate.each).saturating_sub(behind) / rate.each
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn s2_a_burst_is_free_and_then_as_many_as_the_rate_says() {
        let rate = Rate::per_minute(60, 3);
        let (mut used, begin) = (Used::default(), 5 * SECOND);
        let mut taken = |count, now| used.take(count, &rate, now);
        assert!(!taken(4, begin), "more than ever");
        assert!(taken(2, begin) && taken(1, begin) && !taken(1, begin));
        assert!(!taken(1, begin + SECOND - Duration::from_nanos(1)));
        assert!(taken(1, begin + SECOND) && !taken(1, begin + SECOND));
        assert!(
            taken(3, begin + 60 * SECOND) && !taken(1, begin + 60 * SECOND),
            "no more saved up"
        );
    }

    proptest! {
        #[test]
        fn s2_no_time_has_more_than_the_burst_and_its_share(
            steps in prop::collection::vec((0_u64..3_000, 1_u64..4), 1..200),
            per_minute in 1_u64..600,
            burst in 1_u64..20,
        ) {
            let rate = Rate::per_minute(per_minute, burst);
            let (mut used, mut now, mut taken) = (Used::default(), Duration::ZERO, 0_u64);
            for (milliseconds, count) in steps {
                now += Duration::from_millis(milliseconds);
                let free = used.free(&rate, now);
                let fits = used.take(count, &rate, now);
                prop_assert_eq!(fits, free >= count);
                taken += if fits { count } else { 0 };
                let share = now.as_secs_f64() * per_minute as f64 / 60.0;
                prop_assert!(taken as f64 <= burst as f64 + share + 1e-6 * share + 1e-6);
            }
        }
    }
}
