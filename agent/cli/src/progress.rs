//! What the agent is doing, in sentences: one whenever that has changed. Pure.

use std::time::Duration;

use undertone::{FailureKind, State, TorStatus, TorTrouble};

/// While nothing has come of it yet, something is said this often.
const PATIENCE: Duration = Duration::from_secs(30);
/// A push that fails now and then is Tor's nature: only what lasts longer is told.
const BLINK: Duration = Duration::from_secs(30);

/// What was told last.
#[derive(Debug)]
pub(crate) struct Progress {
    socks: bool,
    told: Option<State>,
    quarters: u8,
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
        Self { socks, told: None, quarters: 0, next: PATIENCE, failing_since: None }
    }

    /// What there is to say of this state, so long after the start.
    pub(crate) fn tell(
        &mut self,
        state: State,
        tor: Option<TorStatus>,
        since_start: Duration,
    ) -> Option<Sentence> {
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
            return self.further(state, tor);
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
                (format!("{text} {seconds} s.{}", trouble(tor)), false)
            }
            State::Quiet => {
                ("The ingest side takes what is pushed: all is well.".to_owned(), false)
            }
            State::Failing(kind) => {
                let tor = tor.filter(|_| kind == FailureKind::Tor);
                let (why, tor) = (explain(kind), trouble(tor));
                (format!("{why}{tor} What is measured waits meanwhile."), true)
            }
            _ => return None,
        };
        Some(Sentence { text, wrong })
    }

    /// How Tor comes along, in quarters of its way.
    fn further(&mut self, state: State, tor: Option<TorStatus>) -> Option<Sentence> {
        let quarters = tor?.percent / 25;
        if state != State::Bootstrapping || quarters <= self.quarters {
            return None;
        }
        self.quarters = quarters;
        let text = match quarters {
            4.. => "Tor has found its way into the network; now it looks for the ingest side."
                .to_owned(),
            some => format!("Tor has gone {} % of its way into the network.", some * 25),
        };
        Some(Sentence { text, wrong: false })
    }
}

/// What Tor says of itself, as a sentence to be added; empty if it has nothing to say.
pub(crate) fn trouble(tor: Option<TorStatus>) -> String {
    let Some(TorStatus { percent, trouble: Some(trouble) }) = tor else {
        return String::new();
    };
    let trouble = match trouble {
        TorTrouble::Offline => "there seems to be no network",
        TorTrouble::Filtered => "the network seems to filter it",
        TorTrouble::Unreachable => "no relay answers",
        TorTrouble::Clock => "the clock of this machine seems to be wrong",
        TorTrouble::Directory => "the directory of relays can't be downloaded",
        _ => "something is in its way",
    };
    format!(" Tor, at {percent} %, says: {trouble}.")
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
        FailureKind::ClientKey => {
            "The onion service may only be found by clients that it knows, with a key that isn't in `client_keys`: \
             see `undertone client-key`."
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
            "The data folder, or the ledger in it, can't be written: is the disk full, does it belong to this \
             user? (`ledger = \"memory\"` needs no disk)"
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
            progress.tell(state, None, Duration::from_secs(seconds)).map(|sentence| sentence.text)
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

    #[test]
    fn tor_comes_along_in_quarters_and_says_what_is_in_its_way() {
        let mut progress = Progress::new(false);
        let mut tell = |percent, trouble, seconds| {
            let tor = Some(TorStatus { percent, trouble });
            progress.tell(State::Bootstrapping, tor, Duration::from_secs(seconds))
        };
        for (percent, trouble, seconds, expected) in [
            (0, None, 0, Some("Tor is finding its way")),
            (24, None, 1, None),
            (26, None, 2, Some("gone 25 %")),
            (30, None, 3, None),
            (20, None, 4, None),
            (80, None, 5, Some("gone 75 %")),
            (80, Some(TorTrouble::Clock), 6, None),
            (80, Some(TorTrouble::Clock), 31, Some("at 80 %, says: the clock")),
            (100, None, 32, Some("has found its way")),
        ] {
            let told = tell(percent, trouble, seconds).map(|sentence| sentence.text);
            assert_eq!(told.is_some(), expected.is_some(), "{percent} {seconds}: {told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
