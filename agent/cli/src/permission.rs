//! Whether the agent may do anything at all (invariant P1). Without it there is no socket, no thread and
//! no file.

use std::{env, fmt};

use undertone::Ingest;

use crate::config::Config;

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// `DO_NOT_TRACK` is set, which wins over every consent.
    DoNotTrack,
    /// The configuration doesn't say that it is granted.
    NoConsent,
}

/// Whether `DO_NOT_TRACK` is set to anything but `0` or nothing.
pub(crate) fn do_not_track() -> bool {
    env::var_os("DO_NOT_TRACK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The ingest side, if this machine may report to it.
pub(crate) fn permitted(config: &Config) -> Result<&Ingest, Silence> {
    if do_not_track() {
        return Err(Silence::DoNotTrack);
    }
    // A configuration with consent has an ingest side.
    config.agent.ingest.as_ref().filter(|_| config.consent).ok_or(Silence::NoConsent)
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoNotTrack => {
                "DO_NOT_TRACK is set in the environment, so nothing is done: unset it if this \
                 machine is to report"
            }
            Self::NoConsent => {
                "there is no consent, so nothing is done: if this machine is yours, or you were \
                 allowed to report on it, write `consent = \"granted\"` into the configuration"
            }
        })
    }
}

impl std::error::Error for Silence {}
