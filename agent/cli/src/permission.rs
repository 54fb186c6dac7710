//! Whether the agent may do anything at all (invariant P1). Without it there is no socket, no thread and
//! no file.

use std::{fmt, path::PathBuf};

use undertone::{Ingest, OffReason, switched_off};

use crate::config::{Config, Standing};

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    /// `DO_NOT_TRACK` is set, which wins over every consent.
    DoNotTrack,
    /// `UNDERTONE_OFF` is set, likewise.
    SwitchedOff,
    /// Nobody has agreed.
    Unasked,
    /// Somebody has agreed to less than this.
    Outgrown(PathBuf),
    /// The configuration, at this place, says no.
    DeniedHere(String),
    /// This file says no.
    DeniedInFile(PathBuf),
}

impl Silence {
    /// Whether somebody has said no, and what there is from earlier runs is to be deleted.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::DeniedHere(_) | Self::DeniedInFile(_))
    }

    /// What the environment says, which wins over everything.
    pub(crate) fn of_environment() -> Option<Self> {
        switched_off().map(|reason| match reason {
            OffReason::DoNotTrack => Self::DoNotTrack,
            _ => Self::SwitchedOff,
        })
    }
}

/// The ingest side, if this machine may report to it.
pub(crate) fn permitted(config: &Config) -> Result<&Ingest, Silence> {
    if let Some(silence) = Silence::of_environment() {
        return Err(silence);
    }
    let consent = &config.consent;
    match consent.standing(&config.agent.namespace) {
        // A configuration with consent has an ingest side.
        Standing::Granted => config.agent.ingest.as_ref().ok_or(Silence::Unasked),
        Standing::Unasked => Err(Silence::Unasked),
        Standing::Outgrown => Err(Silence::Outgrown(consent.file.clone())),
        Standing::DeniedHere => Err(Silence::DeniedHere(consent.place().unwrap_or_default())),
        Standing::DeniedInFile => Err(Silence::DeniedInFile(consent.file.clone())),
    }
}

/// Why the agent must end, if its consent was taken back since this configuration was read.
pub(crate) fn revoked(config: &Config) -> Option<Silence> {
    let consent = config.consent.again();
    if consent == config.consent {
        return None;
    }
    permitted(&Config { consent, ..config.clone() }).err()
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoNotTrack => f.write_str(
                "DO_NOT_TRACK is set in the environment, so nothing is done: unset it if this \
                 machine is to report",
            ),
            Self::SwitchedOff => f.write_str(
                "UNDERTONE_OFF is set in the environment, so nothing is done: unset it if this \
                 machine is to report",
            ),
            Self::Unasked => f.write_str(
                "there is no consent, so nothing is done: if this machine is yours, or you were \
                 allowed to report on it, write `consent = \"granted\"` into the configuration, or \
                 say so by `undertone consent ask`",
            ),
            Self::Outgrown(file) => write!(
                f,
                "what is to be sent goes beyond what was agreed to in {}, so nothing is done: see \
                 `undertone consent status`, then `undertone consent ask`",
                file.display()
            ),
            Self::DeniedHere(place) => {
                write!(f, "{place} says that consent is denied, so nothing is done")
            }
            Self::DeniedInFile(file) => write!(
                f,
                "consent was denied, which is written in {}, so nothing is done: `undertone consent \
                 grant` changes that",
                file.display()
            ),
        }
    }
}

impl std::error::Error for Silence {}
