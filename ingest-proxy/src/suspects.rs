//! What an operator does about sessions that are flagged, as text: for the command line, whether a proxy
//! runs or not. What the page shows is in `page/html/suspects.rs`.

mod socket;

use std::{fmt::Write, path::Path, time::Duration};

pub(crate) use self::socket::SuspectSocket;
use crate::{
    config::Config,
    error::{Error, ErrorKind},
    queue::{Queue, Suspect},
};

/// Flagged sessions that are listed.
const LISTED: usize = 1_000;
/// Parcels' worth of held points that are shown.
const SHOWN: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuspectAction {
    /// The sessions that are flagged.
    List,
    /// What is held of one.
    Show(String),
    /// What is held of it goes into the queue, and it isn't flagged any more.
    Release(String),
    /// What is held of it is deleted.
    Delete(String),
}

impl SuspectAction {
    /// As a line for [`SuspectAction::read`].
    pub(crate) fn written(&self) -> String {
        match self {
            Self::List => "suspect list\n".to_owned(),
            Self::Show(session) => format!("suspect show {session}\n"),
            Self::Release(session) => format!("suspect release {session}\n"),
            Self::Delete(session) => format!("suspect delete {session}\n"),
        }
    }

    /// Reads a line.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(match words.as_slice() {
            ["suspect", "list"] => Self::List,
            ["suspect", "show", session] => Self::Show((*session).to_owned()),
            ["suspect", "release", session] => Self::Release((*session).to_owned()),
            ["suspect", "delete", session] => Self::Delete((*session).to_owned()),
            _ => return None,
        })
    }
}

/// Does it, by the proxy that runs with this configuration, or else by itself.
///
/// # Errors
/// [`ErrorKind::Storage`] if the queue's file can't be used.
pub async fn suspect(config: &Config, action: &SuspectAction) -> Result<String, Error> {
    let folder: &Path = &config.data_dir;
    if let Some(text) = socket::ask(folder, action).await? {
        return Ok(text);
    }
    let failed = || Error::new(ErrorKind::Storage, "look into the queue");
    let queue =
        Queue::open(folder, config.queue.clone()).map_err(|error| failed().because(error))?;
    let outcome = run(&queue, action).await.map_err(|why| failed().because(why));
    queue.close().await.map_err(|error| failed().because(error))?;
    outcome
}

/// Does it in a queue that is open. What went wrong is said in words.
pub(crate) async fn run(queue: &Queue, action: &SuspectAction) -> Result<String, String> {
    let failed = |error: undertone_storage::StorageError| error.to_string();
    let unknown = |session: &str| format!("{session:?} isn't flagged; `suspect list` lists who is");
    match action {
        SuspectAction::List => Ok(list(&queue.suspects(LISTED).await.map_err(failed)?)),
        SuspectAction::Show(session) => {
            let suspects = queue.suspects(usize::MAX).await.map_err(failed)?;
            let suspect = suspects.iter().find(|suspect| suspect.session == *session);
            let mut text = list(suspect.map(std::slice::from_ref).ok_or_else(|| unknown(session))?);
            for held in queue.held(session, SHOWN).await.map_err(failed)? {
                let _ = write!(text, "\n# {}, {}\n{}", held.reason, since(held.age), held.lines);
            }
            Ok(text)
        }
        SuspectAction::Release(session) => match queue.release(session).await.map_err(failed)? {
            Some(points) => {
                Ok(format!("{session}: {points} points released, not flagged any more\n"))
            }
            None => Err(unknown(session)),
        },
        SuspectAction::Delete(session) => match queue.delete_held(session).await.map_err(failed)? {
            Some(points) => Ok(format!("{session}: {points} points deleted; it stays flagged\n")),
            None => Err(unknown(session)),
        },
    }
}

fn list(suspects: &[Suspect]) -> String {
    if suspects.is_empty() {
        return "no session is flagged\n".to_owned();
    }
    let mut text = String::new();
    for suspect in suspects {
        let reasons = suspect.reasons.iter().map(|(reason, points)| format!("{reason} {points}"));
        let _ = writeln!(
            text,
            "{}\tflagged {}, last held {}\t{} points held\t{}",
            suspect.session,
            since(suspect.first),
            since(suspect.last),
            suspect.held_points,
            reasons.collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// How long ago, in whole minutes.
fn since(ago: Duration) -> String {
    let minutes = Duration::from_secs(ago.as_secs() / 60 * 60);
    format!("{} ago", humantime::format_duration(minutes))
}

/// A reason in words.
pub(crate) fn explained(reason: &str) -> &str {
    match reason {
        "twice" => "two points of a series in one interval",
        "too_many" => "more than can happen in the time",
        "total" => "a total that its intervals don't add up to",
        "intervals" => "more intervals than there were",
        "since_begin" => "more than can have happened since the session began",
        "weight" => "more than one session may contribute",
        "flagged" => "of a session that is flagged",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let session = "00000000-0000-8000-8000-000000000000".to_owned();
        for action in [
            SuspectAction::List,
            SuspectAction::Show(session.clone()),
            SuspectAction::Release(session.clone()),
            SuspectAction::Delete(session),
        ] {
            assert_eq!(SuspectAction::read(&action.written()), Some(action));
        }
        for other in ["", "suspect", "suspect list all", "suspect show", "release x"] {
            assert_eq!(SuspectAction::read(other), None, "{other}");
        }
    }
}
