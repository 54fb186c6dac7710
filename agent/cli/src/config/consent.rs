//! Whether this machine may report: what the configuration says, and the answer in a file beside it.
//!
//! A no wins, wherever it stands; otherwise one yes is enough.

use std::path::{Path, PathBuf};

use undertone::{Answer, Pending};

use super::{
    error::ConfigError,
    section::{Found, Section, Text},
};
use crate::reporter;

/// The answer's file in the data folder, unless another is named.
const FILE: &str = "consent";

/// What was said of consent, and where.
#[derive(Debug, Clone)]
pub(crate) struct ConsentConfig {
    /// What the configuration says, if anything.
    word: Option<(Word, Found<Text>)>,
    /// Where `undertone consent` keeps the answer.
    pub(crate) file: PathBuf,
    /// What that file said when the configuration was read.
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Granted,
    Denied,
}

/// What follows from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody has said anything.
    Unasked,
    /// Reporting is allowed.
    Granted,
    /// It was, for another schema than this one.
    Outgrown,
    /// The configuration denies it.
    DeniedHere,
    /// The file denies it.
    DeniedInFile,
}

impl ConsentConfig {
    pub(super) fn read(root: &mut Section, data_dir: &Path) -> Result<Self, ConfigError> {
        let word = match root.text("consent")? {
            Some(found) => {
                let words = [("granted", Word::Granted), ("denied", Word::Denied)];
                Some((found.choice(&words)?, found))
            }
            None => None,
        };
        let file = match root.text("consent_file")? {
            Some(found) => found.path()?,
            None => data_dir.join(FILE),
        };
        let answer = Answer::read(&file);
        Ok(Self { word, file, answer })
    }

    /// Whether what the schema of this namespace lets through may be sent.
    pub(crate) fn standing(&self, namespace: &str) -> Standing {
        let word = self.word.as_ref().map(|(word, _)| *word);
        match (word, &self.answer) {
            (Some(Word::Denied), _) => Standing::DeniedHere,
            (_, Answer::Denied) => Standing::DeniedInFile,
            (Some(Word::Granted), _) => Standing::Granted,
            (None, Answer::Granted(_)) => {
                let beyond = reporter::schema(namespace)
                    .map(|declared| Pending::of(&declared, &self.answer));
                match beyond {
                    Ok(beyond) if beyond.is_empty() => Standing::Granted,
                    _ => Standing::Outgrown,
                }
            }
            (None, _) => Standing::Unasked,
        }
    }

    /// The same with what the file says now.
    pub(crate) fn again(&self) -> Self {
        Self { answer: Answer::read(&self.file), ..self.clone() }
    }

    /// An error about the key, if that is there.
    pub(super) fn wrong(&self, reason: &str) -> Option<ConfigError> {
        self.word.as_ref().map(|(_, found)| found.wrong(reason))
    }

    /// Where the configuration says something: file and line.
    pub(crate) fn place(&self) -> Option<String> {
        self.word.as_ref().map(|(_, found)| found.place.to_string())
    }
}

impl PartialEq for ConsentConfig {
    fn eq(&self, other: &Self) -> bool {
        let word = |config: &Self| config.word.as_ref().map(|(word, _)| *word);
        (word(self), &self.file, &self.answer) == (word(other), &other.file, &other.answer)
    }
}
