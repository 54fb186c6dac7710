//! When a machine's program runs, and when its ingest side can't be reached.

use super::{DAY, Draws, HOUR, MINUTE, Traits};

/// When a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Day and night.
    Always,
    /// By day, off at night.
    Daily,
    /// Day and night, and often started anew.
    Flaky,
}

/// One process of a program, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Seconds since the crowd's beginning.
    pub begin: f64,
    /// Seconds since the crowd's beginning.
    pub end: f64,
}

/// All runs of a machine within the first `end` seconds.
pub fn runs(traits: &Traits, end: f64, draws: &mut Draws) -> Vec<Run> {
    let mut runs = Vec::new();
    // Not all at once: a crowd that began together would rotate together at first.
    let mut now = DAY / 2.0 * draws.uniform();
    while now < end {
        if traits.presence == Presence::Daily {
            let since = (now - traits.morning).rem_euclid(DAY);
            // Used for some 14 hours; when exactly differs by day.
            if since > 14.0 * HOUR {
                now += DAY - since + (0.5 * HOUR * draws.normal()).abs();
                continue;
            }
        }
        let mut stop = now + draws.exponential(traits.restarts);
        if traits.presence == Presence::Daily {
            let since = (now - traits.morning).rem_euclid(DAY);
            let evening = now - since + 14.0 * HOUR + 0.5 * HOUR * draws.normal();
            stop = stop.min(evening.max(now + MINUTE));
        }
        let stop = stop.min(end);
        runs.push(Run { begin: now, end: stop });
        now = stop + MINUTE + draws.exponential(5.0 * MINUTE);
    }
    runs
}

/// Times in which nothing gets through, each from–to: every `mean` seconds or so, for half an hour in the mean.
pub fn outages(mean: f64, end: f64, draws: &mut Draws) -> Vec<Run> {
    let mut outages = Vec::new();
    let mut now = draws.exponential(mean);
    while now < end {
        let length = 5.0 * MINUTE + draws.exponential(25.0 * MINUTE);
        outages.push(Run { begin: now, end: now + length });
        now += length + draws.exponential(mean);
    }
    outages
}
