//! The table `[limits]`: what bounds everybody who knows the address (invariant S2).
//!
//! The list has every key, its default and what it may be; docs/configuration.md says when to change
//! which. The defaults hold on a small server. Bounds of what is kept are in `[queue]`.

use std::{ops::Range, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use crate::rate::Rate;

const HOUR: Duration = Duration::from_secs(3_600);

/// A mistake: its key, where it is, what is wrong.
type Mistake = (&'static str, Range<usize>, String);

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $key:ident = $default:literal in $least:literal..=$most:literal,)+) => {
        /// What bounds everybody who knows the address.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $key: u64,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct RawLimits {
            $($key: Option<Spanned<u64>>,)+
        }

        /// Reads what is set over the defaults.
        pub(super) fn checked(raw: RawLimits) -> Result<Limits, Mistake> {
            let mut limits = Limits::default();
            $(if let Some(value) = raw.$key {
                if !($least..=$most).contains(value.get_ref()) {
                    let what = format!("a number from {} to {}", $least as u64, $most as u64);
                    return Err((stringify!($key), value.span(), what));
                }
                limits.$key = value.into_inner();
            })+
            Ok(limits)
        }

        #[cfg(test)]
        const KEYS: &[(&str, u64, u64, u64)] = &[$((stringify!($key), $default, $least, $most)),+];
    };
}

limits! {
    /// Bytes of a request's head, and of what is read ahead of a stream.
    head_bytes = 8_192 in 8_192..=65_536,
    /// Fields of a request's head.
    head_fields = 16 in 4..=100,
    /// How long a head may take.
    head_seconds = 20 in 1..=3_600,
    /// How long the body may take after it.
    body_seconds = 30 in 1..=3_600,
    /// How long a whole request may take, from the first byte to the answer.
    request_seconds = 60 in 1..=3_600,
    /// Streams that a circuit may have open at once.
    streams_per_circuit = 4 in 1..=64,
    /// Streams that are answered at once, of all circuits.
    streams = 1_024 in 8..=65_536,
    /// Circuits that are held at once.
    circuits = 16_384 in 8..=1_048_576,
    /// How long a circuit is kept that has brought no verified parcel.
    unproven_circuit_seconds = 60 in 1..=86_400,
    /// How long any other is kept without a new stream.
    idle_circuit_seconds = 900 in 1..=86_400,
    /// Requests that a circuit may make in a minute, in the long run.
    requests_per_circuit_per_minute = 300 in 1..=60_000,
    /// And at once, after a pause.
    requests_per_circuit_burst = 600 in 1..=1_000_000,
    /// How many more requests than that end a circuit.
    circuit_ends_after = 100 in 1..=1_000_000,
    /// Requests that a session may make in a minute, in the long run.
    requests_per_session_per_minute = 300 in 1..=60_000,
    /// And at once, after a pause.
    requests_per_session_burst = 600 in 1..=1_000_000,
    /// Points of a session in an hour, and at once after a pause.
    points_per_session_per_hour = 250_000 in 1_024..=1_000_000_000,
    /// Series that a session may have.
    series_per_session = 2_000 in 1..=1_000_000,
    /// New sessions that get a place, in any hour.
    new_sessions_per_hour = 300 in 1..=1_000_000,
    /// How long a circuit has to be there before its new session may wait for a place.
    new_session_returns_seconds = 60 in 1..=3_600,
    /// Sessions that have a place at once.
    sessions = 30_000 in 1..=10_000_000,
    /// How long a session keeps its place after it was last heard of.
    session_hours = 48 in 1..=8_760,
    /// New series of all sessions, in any hour.
    new_series_per_hour = 60_000 in 1..=1_000_000_000,
    /// Series of all sessions that have a place.
    series = 1_000_000 in 1..=1_000_000_000,
    /// Parcel IDs that are remembered.
    remembered_ids = 10_000_000 in 1_000..=10_000_000_000,
    /// Batches that are decoded and wait for their commit at once.
    batches = 64 in 1..=4_096,
    /// What a batch may be decompressed to, in bytes; an agent never sends more than the default.
    batch_bytes = 65_536 in 1_024..=65_536,
    /// Points of a batch that are looked at; an agent never sends more than the default.
    batch_points = 1_024 in 1..=1_024,
}

impl Limits {
    /// How long a head may take.
    pub(crate) fn head(&self) -> Duration {
        Duration::from_secs(self.head_seconds)
    }

    /// How long a body may take.
    pub(crate) fn body(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long a whole request may take.
    pub(crate) fn request(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// How long a circuit is kept without a new stream.
    pub(crate) fn circuit(&self, proven: bool) -> Duration {
        let seconds =
            if proven { self.idle_circuit_seconds } else { self.unproven_circuit_seconds };
        Duration::from_secs(seconds)
    }

    /// Requests of a circuit.
    pub(crate) fn requests_of_circuit(&self) -> Rate {
        Rate::per_minute(self.requests_per_circuit_per_minute, self.requests_per_circuit_burst)
    }

    /// Requests of a session.
    pub(crate) fn requests_of_session(&self) -> Rate {
        Rate::per_minute(self.requests_per_session_per_minute, self.requests_per_session_burst)
    }

    /// Points of a session.
    pub(crate) fn points_of_session(&self) -> Rate {
        let points = self.points_per_session_per_hour;
        Rate::new(HOUR, points, points)
    }

    /// Places for new sessions: a quarter of an hour's at once, the rest spread over it.
    pub(crate) fn new_sessions(&self) -> Rate {
        let burst = (self.new_sessions_per_hour / 4).max(1);
        Rate::new(HOUR, self.new_sessions_per_hour - burst, burst)
    }

    /// Series that each new session may have in its first hour, whatever others have. A quarter of
    /// all, of which any hour sees those of two hours' sessions.
    pub(crate) fn series_of_a_new_session(&self) -> u64 {
        self.new_series_per_hour / 4 / self.new_sessions_per_hour
    }

    /// The other half of the new series: for whoever comes first.
    pub(crate) fn new_series(&self) -> Rate {
        let quarter = self.new_series_per_hour / 4;
        Rate::new(HOUR, quarter, quarter)
    }
}

/// A limit as something in memory is counted.
pub(crate) fn count(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Limits, String> {
        Config::parse(text, Path::new("/")).map(|config| config.limits)
    }

    #[test]
    fn s2_every_limit_can_be_set_within_its_range_and_a_mistake_names_line_and_key() {
        assert_eq!(parse(""), Ok(Limits::default()));
        assert_eq!(parse("[limits]\n"), Ok(Limits::default()));
        for &(key, default, least, most) in KEYS {
            assert!((least..=most).contains(&default), "{key}");
            for value in [least, most] {
                let limits = parse(&format!("[limits]\n{key} = {value}\n")).unwrap();
                let set = format!("{limits:?}").contains(&format!("{key}: {value}"));
                assert!(set, "{key} = {value}");
            }
            for value in [least as i128 - 1, most as i128 + 1] {
                let error = parse(&format!("\n[limits]\n{key} = {value}\n")).unwrap_err();
                assert!(
                    error.contains("line 3") && error.contains(key),
                    "{key} = {value}: {error}"
                );
            }
        }
        let error = parse("[limits]\nstreams = \"many\"\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("streams"), "{error}");
        let error = parse("[limits]\nbytes = 1\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("unknown field"), "{error}");
    }

    #[test]
    fn s2_every_limit_and_its_default_are_in_the_documentation() {
        let document = include_str!("../../../docs/configuration.md");
        for &(key, default, ..) in KEYS {
            let row = format!("| `{key}` | {default} | ");
            assert!(document.contains(&row), "docs/configuration.md lacks the row {row}");
        }
    }
}
