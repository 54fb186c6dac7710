//! A moving average of a rate that weighs the recent past most, as in go-metrics and in Unix load averages.
//!
//! It reads no clock: it is told every five seconds how much has happened since the last time.

/// Seconds between two ticks.
pub(crate) const TICK_SECONDS: f64 = 5.0;

/// An exponentially weighted moving average of events per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ewma {
    /// Weight of the newest five seconds: 1 − e^(−5/60/minutes).
    alpha: f64,
    /// Absent before the first tick, which sets it.
    rate: Option<f64>,
}

impl Ewma {
    /// An average over about this many minutes.
    pub(crate) fn over_minutes(minutes: f64) -> Self {
        Self { alpha: 1.0 - (-TICK_SECONDS / 60.0 / minutes).exp(), rate: None }
    }

    /// Takes in the events of the last five seconds.
    pub(crate) fn tick(&mut self, events: i64) {
        let newest = events as f64 / TICK_SECONDS;
        self.rate = Some(match self.rate {
            Some(rate) => rate + self.alpha * (newest - rate),
            None => newest,
        });
    }

    /// Events per second; 0 before the first tick.
    pub(crate) fn rate(&self) -> f64 {
        self.rate.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three events, one tick, then idle minutes, as in go-metrics' own test; the numbers are those it expects.
    #[test]
    fn rates_are_those_of_go_metrics() {
        let cases = [
            (1.0, 1, 0.22072766470286553),
            (1.0, 2, 0.08120116994196772),
            (5.0, 1, 0.49123845184678905),
            (15.0, 1, 0.5613041910189706),
        ];
        for (window, idle_minutes, expected) in cases {
            let rate = after_three_events_and(idle_minutes, window);
            assert!((rate - expected).abs() < 1e-15, "m{window} after {idle_minutes} min: {rate}");
        }
    }

    #[test]
    fn an_idle_rate_decays_exponentially() {
        for window in [1.0, 5.0, 15.0] {
            for idle_minutes in 0..60 {
                let expected = 0.6 * (-f64::from(idle_minutes) / window).exp();
                let rate = after_three_events_and(idle_minutes, window);
                assert!(
                    (rate - expected).abs() < 1e-13,
                    "m{window} after {idle_minutes} min: {rate}"
                );
            }
        }
    }

    #[test]
    fn before_the_first_tick_the_rate_is_zero() {
        assert_eq!(Ewma::over_minutes(1.0).rate(), 0.0);
    }

    fn after_three_events_and(idle_minutes: u32, window: f64) -> f64 {
        let mut average = Ewma::over_minutes(window);
        average.tick(3);
        for _ in 0..idle_minutes * 12 {
            average.tick(0);
        }
        average.rate()
    }
}
