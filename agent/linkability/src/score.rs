//! How often an attacker was right, how sure that is, and what theory says.

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Right answers.
    pub right: usize,
    /// Questions.
    pub asked: usize,
}

/// The quantile of the normal distribution for bounds that hold 95 % of the time.
const NORMAL_95: f64 = 1.959_964;

impl Score {
    /// The share that was right.
    pub fn share(self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }

    /// Wilson's interval at 95 % (Wilson 1927, without correction for continuity).
    pub fn bounds(self) -> (f64, f64) {
        let (n, p) = (self.asked.max(1) as f64, self.share());
        let square = NORMAL_95 * NORMAL_95;
        let centre = p + square / (2.0 * n);
        let spread = NORMAL_95 * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
        let scale = 1.0 + square / n;
        (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
    }

    /// By how many standard errors this is above `other`, of as many questions or not: the statistic of the
    /// one-sided test of two proportions with a pooled variance.
    pub fn above(self, other: Self) -> f64 {
        let (n, m) = (self.asked.max(1) as f64, other.asked.max(1) as f64);
        let pooled = (self.right + other.right) as f64 / (n + m);
        let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        if error == 0.0 { 0.0 } else { (self.share() - other.share()) / error }
    }
}

/// The share of right pairs, by invariant P3, of who pairs a session's beginning with the latest end, where
/// `rate` sessions end in an hour and a silence is uniform up to an hour.
pub fn formula(rate: f64) -> f64 {
    if rate == 0.0 { 1.0 } else { (1.0 - (-rate).exp()) / rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_wilsons() {
        // Newcombe 1998, table I: 81 of 263, and 0 of 20.
        let (low, high) = Score { right: 81, asked: 263 }.bounds();
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4, "{low} {high}");
        let (low, high) = Score { right: 0, asked: 20 }.bounds();
        assert!(low == 0.0 && (high - 0.1611).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn two_scores_differ_by_the_test_of_two_proportions() {
        let z = Score { right: 60, asked: 100 }.above(Score { right: 45, asked: 100 });
        assert!((z - 2.124).abs() < 1e-3, "{z}");
        assert_eq!(Score::default().above(Score::default()), 0.0);
    }

    #[test]
    fn the_formula_gives_what_invariant_p3_says() {
        let mean_cycle = 6.52;
        for (agents, percent) in [(46.0, 14.0), (100.0, 6.5), (300.0, 2.2), (1_000.0, 0.65)] {
            let share = 100.0 * formula(agents / mean_cycle);
            assert!((share - percent).abs() < 0.02 * percent, "{agents}: {share}");
        }
    }
}
