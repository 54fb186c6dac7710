//! When the agent does what. Pure: times in, times out.

use std::time::Duration;

use rand::RngExt;

use crate::{
    clock::{Moment, Randomness},
    profile::Rhythm,
};

/// How often meters take their moving averages, as in go-metrics.
const TICK: Duration = Duration::from_secs(5);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Meters take their moving averages.
    Tick,
    /// The instruments are read.
    Snapshot,
    /// What was read is cut into a batch and sealed.
    Cut,
    /// A parcel, or chaff, may be sent.
    Slot,
}

/// The next time of each event.
///
/// Cuts and slots don't know what is measured or what is waiting: they are drawn, not decided.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    rhythm: Rhythm,
    randomness: Randomness,
    tick: Moment,
    snapshot: Moment,
    cut: Moment,
    slot: Moment,
}

impl Schedule {
    pub(crate) fn new(
        now: Moment,
        interval: Duration,
        rhythm: Rhythm,
        randomness: Randomness,
    ) -> Self {
        let mut schedule = Self {
            interval,
            rhythm,
            randomness,
            tick: now + TICK,
            snapshot: now + interval,
            cut: now,
            slot: now,
        };
        schedule.draw_cut();
        schedule.draw_slot();
        schedule
    }

    /// What comes next, and when; what falls on the same moment comes in the order of a number's way.
    pub(crate) fn next(&self) -> (Moment, Event) {
        let all = [
            (self.tick, Event::Tick),
            (self.snapshot, Event::Snapshot),
            (self.cut, Event::Cut),
            (self.slot, Event::Slot),
        ];
        all.into_iter().min().unwrap_or((self.tick, Event::Tick))
    }

    /// Sets the next time of an event that has just come.
    ///
    /// Ticks and snapshots keep their phase; those that a suspended machine missed are not made up.
    pub(crate) fn done(&mut self, event: Event, now: Moment) {
        match event {
            Event::Tick => self.tick = following(self.tick, TICK, now),
            Event::Snapshot => self.snapshot = following(self.snapshot, self.interval, now),
            Event::Cut => {
                self.cut = now;
                self.draw_cut();
            }
            Event::Slot => {
                self.slot = now;
                self.draw_slot();
            }
        }
    }

    /// Ticks and snapshots begin anew, as at the beginning; cuts and slots go on.
    pub(crate) fn renew(&mut self, now: Moment, interval: Duration) {
        self.interval = interval;
        (self.tick, self.snapshot) = (now + TICK, now + interval);
    }

    fn draw_cut(&mut self) {
        self.cut += exponential(self.rhythm.cut_mean, &mut self.randomness);
    }

    fn draw_slot(&mut self) {
        let gap = exponential(self.rhythm.slot_mean, &mut self.randomness);
        self.slot += gap.min(self.rhythm.slot_limit);
    }
}

/// The first of `last + period`, `last + 2·period`, … that isn't past.
fn following(last: Moment, period: Duration, now: Moment) -> Moment {
    let next = last + period;
    if next >= now {
        return next;
    }
    let missed = (now - last).as_nanos() / period.as_nanos().max(1);
    last + period.saturating_mul(u32::try_from(missed + 1).unwrap_or(u32::MAX))
}

/// Draws from the exponential distribution of this mean, by inversion.
pub(crate) fn exponential(mean: Duration, randomness: &mut Randomness) -> Duration {
    let share: f64 = randomness.random();
    mean.mul_f64(-(1.0 - share).ln())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn schedule() -> Schedule {
        let rhythm = Rhythm {
            cut_mean: Duration::from_secs(240),
            slot_mean: Duration::from_secs(180),
            slot_limit: Duration::from_secs(540),
        };
        Schedule::new(Duration::ZERO, Duration::from_secs(60), rhythm, Randomness::seed_from_u64(1))
    }

    /// The gaps between events of one kind over a simulated year.
    fn gaps(of: Event) -> Vec<f64> {
        let mut schedule = schedule();
        let (mut last, mut gaps) = (Duration::ZERO, Vec::new());
        loop {
            let (now, event) = schedule.next();
            if now > Duration::from_secs(365 * 24 * 3_600) {
                return gaps;
            }
            if event == of {
                gaps.push((now - last).as_secs_f64());
                last = now;
            }
            schedule.done(event, now);
        }
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn p5_cuts_come_at_exponential_times() {
        let gaps = gaps(Event::Cut);
        // The standard error over some 130,000 gaps is 0.7 s; of the share over the mean, 0.0014.
        assert!((mean(&gaps) - 240.0).abs() < 4.0, "{}", mean(&gaps));
        let over = gaps.iter().filter(|gap| **gap > 240.0).count() as f64 / gaps.len() as f64;
        assert!((over - (-1.0_f64).exp()).abs() < 0.01, "{over}");
    }

    #[test]
    fn p5_slots_are_never_further_apart_than_their_limit() {
        let gaps = gaps(Event::Slot);
        assert!(gaps.iter().all(|gap| *gap <= 540.0));
        // The mean of an exponential of mean 180 that is cut off at 540.
        let expected = 180.0 * (1.0 - (-3.0_f64).exp());
        assert!((mean(&gaps) - expected).abs() < 3.0, "{}", mean(&gaps));
    }

    #[test]
    fn snapshots_keep_their_phase_over_a_suspended_machine() {
        let mut schedule = schedule();
        schedule.done(Event::Snapshot, Duration::from_secs(60));
        assert_eq!(schedule.snapshot, Duration::from_secs(120));
        schedule.done(Event::Snapshot, Duration::from_secs(10_003));
        assert_eq!(schedule.snapshot, Duration::from_secs(10_020));
    }
}
