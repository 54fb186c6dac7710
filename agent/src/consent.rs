//! Whether the user agreed, and to what (invariant P1). Without consent nothing is started at all.
//!
//! An answer is given for a schema. A program that has come to declare more sends what was agreed to and
//! no more, until the rest is agreed to as well. `DO_NOT_TRACK` and `UNDERTONE_OFF` in the environment win
//! over every answer.

mod answer;
mod handle;
mod pending;
mod switch;

use std::{fmt, path::PathBuf};

use undertone_wire::schema::Schema;

pub use answer::Answer;
use answer::Bare;
pub use handle::AgentConsent;
pub(crate) use handle::{Declared, Inner, watch};
pub use pending::Pending;
pub use switch::switched_off;

use crate::error::{Error, ErrorKind};

/// Where the user's answer is found, and kept.
///
/// `DO_NOT_TRACK=1` or `UNDERTONE_OFF=1` in the environment wins over every answer.
pub struct Consent(Source);

enum Source {
    File(PathBuf),
    Callback(Box<dyn Fn() -> Answer + Send + Sync>),
}

/// Why an agent is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffReason {
    /// Nobody agreed; or to nothing of what the program declares now.
    NoConsent,
    /// The user said no. What earlier runs left on the disk is deleted.
    Denied,
    /// `DO_NOT_TRACK` is set.
    DoNotTrack,
    /// `UNDERTONE_OFF` is set.
    SwitchedOff,
    /// This process is the child of the one that started the agent, which goes on there.
    Forked,
}

impl Consent {
    /// A file, which [`Answer`] says how to write. It is read at the start and every ten seconds from then
    /// on: an agent ends when its answer is taken back, by whomever.
    ///
    /// The word `granted` alone agrees to what the program declares at its next start, which then
    /// writes that down beside it.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        // The host may change its working directory.
        Self(Source::File(std::path::absolute(&path).unwrap_or(path)))
    }

    /// What the host program answers when the agent starts: `true` is consent to whatever it declares.
    pub fn callback(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self::answers(move || if ask() { Answer::Granted(None) } else { Answer::Unasked })
    }

    /// What the host program answers, if it keeps more of the answer than a yes. It is asked at the start
    /// and by [`AgentConsent`], and has to keep what is granted or denied there itself.
    pub fn answers(ask: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self(Source::Callback(Box::new(ask)))
    }

    /// What was answered.
    pub(crate) fn answer(&self) -> Answer {
        match &self.0 {
            Source::Callback(ask) => ask(),
            Source::File(path) => Answer::read(path),
        }
    }

    /// What of `declared` may be sent; why nothing may be otherwise.
    pub(crate) fn permits(&self, declared: &Schema) -> Result<Schema, OffReason> {
        if let Some(reason) = switched_off() {
            return Err(reason);
        }
        match self.answer() {
            Answer::Unasked => Err(OffReason::NoConsent),
            Answer::Denied => Err(OffReason::Denied),
            Answer::Granted(Some(agreed)) => {
                let agreed = declared.within(&agreed);
                let nothing =
                    |schema: &Schema| !schema.is_open() && schema.measurements().next().is_none();
                match nothing(&agreed) && !nothing(declared) {
                    true => Err(OffReason::NoConsent),
                    false => Ok(agreed),
                }
            }
            Answer::Granted(None) => {
                // So that a later version of the program that declares more asks for it. A file that can't
                // be written stays a yes to whatever is declared: it is its owner's to say.
                if let Source::File(path) = &self.0 {
                    let bare = Bare::open(path);
                    let written = bare.and_then(|b| b.map_or(Ok(()), |b| b.complete(declared)));
                    if let Err(error) = written {
                        tracing::debug!(kind = ?error.kind(), "what was agreed to isn't written down");
                    }
                }
                Ok(declared.clone())
            }
        }
    }

    /// What of `declared` was agreed to; nothing of it without consent.
    pub(crate) fn part(&self, declared: &Schema) -> Schema {
        match self.answer() {
            Answer::Granted(None) => declared.clone(),
            Answer::Granted(Some(agreed)) => declared.within(&agreed),
            Answer::Unasked | Answer::Denied => declared.within(&declared.nothing()),
        }
    }

    /// Writes an answer down, where that isn't the host program's to do.
    fn keep(&self, answer: &Answer) -> Result<(), Error> {
        match &self.0 {
            Source::Callback(_) => Ok(()),
            Source::File(path) => answer.write(path).map_err(|error| {
                Error::new(ErrorKind::Consent, "the answer can't be written down").because(error)
            }),
        }
    }

    /// Whether it is found in a file, which others may write as well.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.0, Source::File(_))
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consent")
    }
}

#[cfg(test)]
mod tests;
