//! Whether the user agreed (invariant P1). Without consent nothing is started at all.

use std::{env, fmt, fs, path::PathBuf};

/// Where the user's answer is found when the agent starts.
///
/// `DO_NOT_TRACK=1` in the environment wins over every answer.
pub struct Consent(Source);

enum Source {
    File(PathBuf),
    Callback(Box<dyn Fn() -> bool + Send + Sync>),
}

impl Consent {
    /// The first word of a file: `granted` is consent. Everything else isn't, a file that can't be
    /// read included.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// What the host program answers; `true` is consent.
    pub fn callback(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Source::Callback(Box::new(ask)))
    }

    /// Whether telemetry may be sent; why not otherwise.
    pub(crate) fn check(&self) -> Result<(), OffReason> {
        if env::var_os("DO_NOT_TRACK").is_some_and(|value| !value.is_empty() && value != "0") {
            return Err(OffReason::DoNotTrack);
        }
        let granted = match &self.0 {
            Source::Callback(ask) => ask(),
            // A pipe would block the host.
            Source::File(path) if !path.is_file() => false,
            Source::File(path) => fs::read_to_string(path)
                .is_ok_and(|text| text.split_whitespace().next() == Some("granted")),
        };
        if granted { Ok(()) } else { Err(OffReason::NoConsent) }
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consent")
    }
}

/// Why an agent is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffReason {
    /// Nobody agreed.
    NoConsent,
    /// `DO_NOT_TRACK` is set.
    DoNotTrack,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_only_the_word_granted_is_consent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("consent");
        assert_eq!(Consent::file(&path).check(), Err(OffReason::NoConsent));
        for (text, expected) in [
            ("granted", Ok(())),
            ("granted 2026-01-01\n", Ok(())),
            ("denied", Err(OffReason::NoConsent)),
            ("", Err(OffReason::NoConsent)),
            ("not granted", Err(OffReason::NoConsent)),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Consent::file(&path).check(), expected, "{text:?}");
        }
    }
}
