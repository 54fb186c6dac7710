//! What the agent is doing, in sentences: one whenever that has changed. Pure.

use std::time::Duration;

use undertone::{FailureKind, State};

/// While nothing has come of it yet, something is said this often.
const PATIENCE: Duration = Duration::from_secs(30);
/// A push that fails now and then is Tor's nature: only what lasts longer is told.
const BLINK: Duration = Duration::from_secs(30);

/// What was told last.
#[derive(Debug)]
pub(crate) struct Progress {
    socks: bool,
    told: Option<State>,
    next: Duration,
    failing_since: Option<Duration>,
}

/// A sentence, and whether something is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) text: String,
    pub(crate) wrong: bool,
}

impl Progress {
    /// Of an agent that has just been started, with a tor that runs already or not.
    pub(crate) fn new(socks: bool) -> Self {
        Self { socks, told: None, next: PATIENCE, failing_since: None }
    }

    /// What there is to say of this state, so long after the start.
    pub(crate) fn tell(&mut self, state: State, since_start: Duration) -> Option<Sentence> {
        if matches!(state, State::Failing(_)) {
            let since = *self.failing_since.get_or_insert(since_start);
            if self.told == Some(State::Quiet) && since_start < since + BLINK {
                return None;
            }
        } else {
            self.failing_since = None;
        }
        let again = state == State::Bootstrapping && since_start >= self.next;
        if self.told == Some(state) && !again {
            return None;
        }
        let first = self.told.replace(state).is_none();
        let (text, wrong) = match state {
            State::Bootstrapping if first && self.socks => {
                ("Asking the tor that runs already for a way to the ingest side.".to_owned(), false)
            }
            State::Bootstrapping if first => (
                "Tor is finding its way into the network; the first time this takes up to a minute."
                    .to_owned(),
                false,
            ),
            State::Bootstrapping => {
                self.next = since_start + PATIENCE;
                let seconds = since_start.as_secs();
                let text = "Nothing has been pushed yet, and Tor is still trying, after";
                (format!("{text} {seconds} s."), false)
            }
            State::Quiet => {
                ("The ingest side takes what is pushed: all is well.".to_owned(), false)
            }
            State::Failing(kind) => {
                (format!("{} What is measured waits meanwhile.", explain(kind)), true)
            }
            _ => return None,
        };
        Some(Sentence { text, wrong })
    }
}

/// What is wrong, and what to do.
pub(crate) fn explain(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Tor => {
            "Tor doesn't get through: is there a network, is the clock right, is Tor blocked here \
             (see bridges in docs/agent.md), does the SOCKS port answer?"
        }
        FailureKind::Endpoint => {
            "Tor works, but the onion service can't be reached: is the proxy running, and for \
             longer than a minute?"
        }
        FailureKind::Unavailable => {
            "The proxy is there, but can't take anything now: look at its /health."
        }
        FailureKind::Protocol => {
            "Something else than an Undertone proxy answers: compare `ingest` with what \
             `undertone-ingest-proxy address` prints."
        }
        FailureKind::Refused => {
            "The proxy calls it malformed: is the part of `ingest` after # that of this proxy, and \
             are both of the same version?"
        }
        FailureKind::DataFolder => {
            "The data folder can't be written: is the disk full, does it belong to this user?"
        }
        _ => "Pushing doesn't work, for a reason that this version doesn't know.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_patience_is_asked_for() {
        let mut progress = Progress::new(false);
        let mut tell = |state, seconds| {
            progress.tell(state, Duration::from_secs(seconds)).map(|sentence| sentence.text)
        };
        for (state, seconds, expected) in [
            (State::Bootstrapping, 0, Some("Tor is finding")),
            (State::Bootstrapping, 29, None),
            (State::Bootstrapping, 31, Some("after 31 s")),
            (State::Bootstrapping, 60, None),
            (State::Bootstrapping, 61, Some("after 61 s")),
            (State::Quiet, 62, Some("all is well")),
            (State::Quiet, 63, None),
            (State::Failing(FailureKind::Endpoint), 64, None),
            (State::Quiet, 65, None),
            (State::Failing(FailureKind::Endpoint), 70, None),
            (State::Failing(FailureKind::Tor), 99, None),
            (State::Failing(FailureKind::Endpoint), 100, Some("onion service")),
            (State::Failing(FailureKind::Tor), 101, Some("Tor doesn't get through")),
            (State::Quiet, 102, Some("all is well")),
        ] {
            let told = tell(state, seconds);
            assert_eq!(told.is_some(), expected.is_some(), "{state:?} {seconds}: {told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
