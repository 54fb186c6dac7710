//! How long a session lasts, as a host chooses it.

use std::{fmt, str::FromStr, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// The bounds of a mean.
const SHORTEST: Duration = Duration::from_secs(1_800);
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// How long what is reported stands under one session (invariant P3), in [`crate::Profile::Anonymous`].
///
/// As text, in a configuration: `"6h"`, `"90m"`, `"batch"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// A session lives for half an hour and an exponentially distributed time with this mean, 24 h at most in
    /// all, and between two is a silence of up to an hour. 6 h unless set; means from half an hour to a day
    /// are kept, others become the nearest of these.
    Life(Duration),
    /// Every batch is a session of its own, on a circuit of its own: for those who don't need series.
    ///
    /// A batch is then one reading of each instrument, over an exponentially distributed time with a mean
    /// of an hour; it is sent about an hour later, and dropped where that fails for two. Nothing is
    /// measured before a first silence of up to an hour; there is none afterwards.
    Batch,
}

/// A text that is no [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeError;

impl Scope {
    /// Whether each batch has a session of its own.
    pub(crate) fn is_batch(self) -> bool {
        self == Self::Batch
    }

    /// Mean of the distribution that lives are drawn from, within its bounds.
    pub(crate) fn life_mean(self) -> Duration {
        match self {
            Self::Life(mean) => mean.clamp(SHORTEST, LONGEST),
            Self::Batch => Duration::ZERO,
        }
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::Life(6 * HOUR)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let life = |number: &str, unit: Duration| {
            let mean = number.parse().ok().and_then(|number: u32| unit.checked_mul(number));
            let mean = mean.filter(|mean| (SHORTEST..=LONGEST).contains(mean));
            mean.map(Self::Life).ok_or(ScopeError)
        };
        match (text, text.strip_suffix('h'), text.strip_suffix('m')) {
            ("batch", ..) => Ok(Self::Batch),
            (_, Some(hours), _) => life(hours, HOUR),
            (_, _, Some(minutes)) => life(minutes, MINUTE),
            _ => Err(ScopeError),
        }
    }
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a scope is \"batch\", or a mean life from half an hour to a day such as \"6h\" or \"90m\"",
        )
    }
}

impl std::error::Error for ScopeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_word_or_a_mean_life_within_bounds() {
        for (text, scope) in [
            ("batch", Some(Scope::Batch)),
            ("6h", Some(Scope::default())),
            ("90m", Some(Scope::Life(90 * MINUTE))),
            ("24h", Some(Scope::Life(24 * HOUR))),
            ("30m", Some(Scope::Life(30 * MINUTE))),
            ("25h", None),
            ("29m", None),
            ("0h", None),
            ("-6h", None),
            ("4294967295h", None),
            ("6", None),
            ("6 h", None),
            ("Batch", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), scope, "{text}");
        }
        assert_eq!(Scope::Life(Duration::ZERO).life_mean(), SHORTEST);
        assert_eq!(Scope::Life(Duration::MAX).life_mean(), LONGEST);
    }

    #[test]
    fn in_a_fleet_there_is_no_scope_to_choose() {
        use crate::{Agent, ErrorKind, Profile, Rhythm, Schema};

        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
        let schema = Schema::new("app", MINUTE, []).unwrap();
        let agent = Agent::builder(onion.parse().unwrap()).schema(schema);
        let fleet = Profile::Fleet(Rhythm::every(MINUTE));
        let started = agent.profile(fleet).scope(Scope::Batch).start();
        assert_eq!(started.unwrap_err().kind(), ErrorKind::Contradiction);
    }
}
