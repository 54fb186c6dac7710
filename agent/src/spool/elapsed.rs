//! How long ago something was, seen from another process: by the clock of the boot where that is the same, which
//! counts a suspend and which nobody can set; else by the wall clock, for there is no other.
//!
//! In the profile `fleet` alone; what is read here stays on this machine (invariant P6).

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which boot of the machine it is in; empty where that isn't told.
    pub(crate) boot: String,
    /// Since that boot, suspends included, in milliseconds.
    pub(crate) boot_milliseconds: i64,
    /// By the wall clock, in milliseconds since 1970.
    pub(crate) wall_milliseconds: i64,
}

impl Stamp {
    /// Now.
    pub(crate) fn now() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: boot.trim().to_owned(),
            boot_milliseconds: milliseconds(since_boot()),
            wall_milliseconds: milliseconds(
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            ),
        }
    }

    /// How long before `now` this was. A wall clock that was set back says: just now.
    pub(crate) fn elapsed(&self, now: &Self) -> Duration {
        let same_boot = !self.boot.is_empty() && self.boot == now.boot;
        let passed = if same_boot {
            now.boot_milliseconds - self.boot_milliseconds
        } else {
            now.wall_milliseconds - self.wall_milliseconds
        };
        Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// Elsewhere no boot is told either, so that this isn't looked at.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    Duration::ZERO
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_an_age_over_restarts_is_by_the_boot_and_after_another_by_the_wall_clock() {
        let at = |boot: &str, boot_seconds: i64, wall_seconds: i64| Stamp {
            boot: boot.to_owned(),
            boot_milliseconds: boot_seconds * 1_000,
            wall_milliseconds: wall_seconds * 1_000,
        };
        for (what, then, now, seconds) in [
            ("a clock that was set", at("a", 100, 5_000_000), at("a", 160, 7), 60),
            ("another boot", at("a", 100, 5_000), at("b", 3, 5_090), 90),
            ("another boot, a clock set back", at("a", 100, 5_000), at("b", 3, 4_000), 0),
            ("no boots told", at("", 0, 5_000), at("", 0, 5_007), 7),
        ] {
            assert_eq!(then.elapsed(&now), Duration::from_secs(seconds), "{what}");
        }
        let (before, after) = (Stamp::now(), Stamp::now());
        assert!(before.elapsed(&after) < Duration::from_secs(60));
    }
}
