//! When sessions begin and end (invariant P3). Pure: drawn, not decided.
//!
//! A session lives for a random time, and before it begins there is a random silence. The ends and the
//! beginnings of a crowd's sessions so fall in between each other, and nobody can say which belong
//! together.

use std::time::Duration;

use rand::RngExt;

use crate::{clock::Randomness, schedule::exponential};

/// From which distributions lives and silences are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Mean of the exponential distribution that lives are drawn from, before it is cut off.
    pub(crate) life_mean: Duration,
    /// No life is shorter: a session of one or two parcels would say nothing.
    pub(crate) life_shortest: Duration,
    /// No life is longer.
    pub(crate) life_longest: Duration,
    /// Silences are uniform between none and this.
    pub(crate) silence_longest: Duration,
}

impl Rotation {
    /// How long a session lives.
    pub(crate) fn life(&self, randomness: &mut Randomness) -> Duration {
        // What a distribution without memory gives beyond its shortest is that distribution again.
        let beyond = self.life_longest.saturating_sub(self.life_shortest);
        loop {
            let life = exponential(self.life_mean, randomness);
            if life <= beyond {
                return self.life_shortest + life;
            }
        }
    }

    /// The means of lives and of silences.
    pub(crate) fn means(&self) -> (Duration, Duration) {
        let beyond = self.life_longest.saturating_sub(self.life_shortest).as_secs_f64();
        let mean = self.life_mean.as_secs_f64();
        let share = (-beyond / mean).exp();
        let life = mean - beyond * share / (1.0 - share);
        (self.life_shortest + Duration::from_secs_f64(life), self.silence_longest / 2)
    }

    /// How long nothing is measured and nothing sent before a session.
    pub(crate) fn silence(&self, randomness: &mut Randomness) -> Duration {
        self.silence_longest.mul_f64(randomness.random())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::{profile::Profile, scope::Scope};

    const HOUR: f64 = 3_600.0;

    fn anonymous() -> Rotation {
        Profile::Anonymous.rotation(Scope::default()).unwrap()
    }

    #[test]
    fn p3_lives_and_silences_are_random_and_bounded() {
        let (rotation, mut randomness) = (anonymous(), Randomness::seed_from_u64(1));
        let draws = 100_000;
        let lives: Vec<f64> =
            (0..draws).map(|_| rotation.life(&mut randomness).as_secs_f64() / HOUR).collect();
        assert!(lives.iter().all(|life| (0.5..=24.0).contains(life)));
        // Half an hour, and an exponential of mean 6 h that is cut off at 23.5 h.
        let share = (-23.5_f64 / 6.0).exp();
        let expected = 0.5 + 6.0 - 23.5 * share / (1.0 - share);
        let mean = lives.iter().sum::<f64>() / f64::from(draws);
        assert!((mean - expected).abs() < 0.06, "{mean} instead of {expected} h");

        let silences: Vec<f64> =
            (0..draws).map(|_| rotation.silence(&mut randomness).as_secs_f64() / HOUR).collect();
        assert!(silences.iter().all(|silence| (0.0..=1.0).contains(silence)));
        for decile in 1..10 {
            let limit = f64::from(decile) / 10.0;
            let below = silences.iter().filter(|silence| **silence < limit).count();
            assert!((below as f64 / f64::from(draws) - limit).abs() < 0.01, "{decile}");
        }
    }

    #[test]
    fn p3_who_pairs_a_start_with_the_latest_end_succeeds_as_often_as_the_formula_says() {
        // (1 − e^(−λW)) / (λW), where λ is how many sessions of the crowd end in an hour.
        for agents in [46_usize, 100, 1_000] {
            let (rotation, mut randomness) = (anonymous(), Randomness::seed_from_u64(2));
            let days = 100_000.0 / agents as f64;
            let mut ends = Vec::new();
            let mut starts = Vec::new();
            for agent in 0..agents {
                let mut now = 0.0;
                while now < days * 24.0 {
                    now += rotation.life(&mut randomness).as_secs_f64() / HOUR;
                    ends.push((now, agent));
                    now += rotation.silence(&mut randomness).as_secs_f64() / HOUR;
                    starts.push((now, agent));
                }
            }
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            // Without the beginning, where all agents start at once, and the end, where they are few.
            let counted = |time: f64| (48.0..days * 24.0).contains(&time);
            let (mut right, mut all) = (0, 0);
            for (time, agent) in starts.into_iter().filter(|(time, _)| counted(*time)) {
                let before = ends.partition_point(|(end, _)| *end <= time);
                right += usize::from(ends[before - 1].1 == agent);
                all += 1;
            }
            let share = right as f64 / f64::from(all);
            let ended = ends.iter().filter(|(time, _)| counted(*time)).count() as f64;
            let rate = ended / (days * 24.0 - 48.0);
            let formula = (1.0 - (-rate).exp()) / rate;
            assert!(
                (share - formula).abs() < 0.03 * formula + 0.002,
                "{agents}: {share}, {formula}"
            );
        }
    }
}
