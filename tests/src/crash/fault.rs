//! What happens at a step.

use std::{fmt, path::Path};

use super::steps::{CALLS, Step};

/// A fault that strace makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed before the call is done.
    Kill,
    /// The call fails, once.
    Once(Errno),
    /// It fails, and so do those of its kind on this file from there on.
    From(Errno),
}

/// Why a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errno {
    /// The disk is full.
    Enospc,
    /// The disk is broken.
    Eio,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Kill,
        Self::Once(Errno::Enospc),
        Self::From(Errno::Enospc),
        Self::Once(Errno::Eio),
        Self::From(Errno::Eio),
    ];

    /// What strace is told, to do this at that step of a path below `folder`.
    pub(crate) fn arguments(self, step: &Step, folder: &Path) -> Vec<String> {
        let what = match self {
            Self::Kill => "signal=KILL".to_owned(),
            Self::Once(errno) | Self::From(errno) => format!("error={errno}"),
        };
        let from = if matches!(self, Self::From(_)) { "+" } else { "" };
        let Step { file, call, number } = step;
        let path = if file.is_empty() { folder.to_owned() } else { folder.join(file) };
        vec![
            "-P".to_owned(),
            path.display().to_string(),
            "-e".to_owned(),
            format!("trace={call}"),
            "-e".to_owned(),
            format!("inject={call}:{what}:when={number}{from}"),
        ]
    }

    /// Without a fault: what changes files.
    pub(crate) fn recording() -> Vec<String> {
        vec!["-e".to_owned(), format!("trace={CALLS}")]
    }

    /// Whether a trace says that a call failed by it.
    pub(crate) fn is_in(self, trace: &str) -> bool {
        self != Self::Kill && trace.contains("(INJECTED)")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Once(errno) => write!(f, "{errno}"),
            Self::From(errno) => write!(f, "{errno} from there on"),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enospc => "ENOSPC",
            Self::Eio => "EIO",
        })
    }
}
