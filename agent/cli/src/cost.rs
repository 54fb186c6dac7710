//! What reporting costs in traffic, in parts, from figures that were measured. Pure.

use std::time::Duration;

/// TCP bytes between this machine and its guard for one push, on a circuit that is there already.
const PUSH_BYTES: f64 = 6_800.0;
/// TCP bytes a minute of a Tor in this process that has nothing to do, with arti's defaults.
const IDLE_BYTES: f64 = 24_000.0;
/// A month has 30 days.
const MONTH_SECONDS: f64 = 30.0 * 24.0 * 3_600.0;

/// Bytes a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// Pushes that hold points.
    pub(crate) own: f64,
    /// Pushes of the same size that hold nothing.
    pub(crate) chaff: f64,
    /// Tor in this process, when nothing is pushed; none where another tor runs.
    pub(crate) idle: Option<f64>,
}

impl Cost {
    /// Of an agent that cuts a batch and has a slot to push at these mean times, where the points of a
    /// batch fill so many parcels.
    pub(crate) fn monthly(
        cut_mean: Duration,
        slot_mean: Duration,
        parcels_a_batch: f64,
        tor_here: bool,
    ) -> Self {
        let cuts = MONTH_SECONDS / cut_mean.as_secs_f64();
        let slots = MONTH_SECONDS / slot_mean.as_secs_f64();
        // A slot finds nothing if no cut came since the last one; both come at random times.
        let empty = slots * slots / (slots + cuts);
        Self {
            own: cuts * parcels_a_batch * PUSH_BYTES,
            chaff: empty * PUSH_BYTES,
            idle: tor_here.then_some(MONTH_SECONDS / 60.0 * IDLE_BYTES),
        }
    }

    /// All of it.
    pub(crate) fn total(&self) -> f64 {
        self.own + self.chaff + self.idle.unwrap_or(0.0)
    }
}

/// Bytes for people: two significant digits, in units of a thousand.
pub(crate) fn readable(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95 && unit > 0);
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_known_rhythm() {
        let cost = Cost::monthly(Duration::from_secs(240), Duration::from_secs(180), 1.0, true);
        // 10,800 batches; 14,400 slots, of which 8,229 find nothing.
        assert_eq!(readable(cost.own), "73 MB");
        assert_eq!(readable(cost.chaff), "56 MB");
        assert_eq!(readable(cost.idle.unwrap()), "1.0 GB");
        assert_eq!(readable(cost.total()), "1.2 GB");
    }

    #[test]
    fn bytes_are_readable() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1_000.0, "1.0 kB"),
            (9_960.0, "10 kB"),
            (5e15, "5000 TB"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }
}
