//! The user's answer as the host program shows and changes it while its agent is there.

use std::{
    fmt, fs, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use undertone_wire::schema::Schema;

use super::{Answer, Consent, OffReason, Pending, switched_off};
use crate::{
    agent::Held,
    deletion,
    error::{Error, ErrorKind},
    folder::Folder,
    ledger::Book,
    process::Owner,
    shutdown::Shutdown,
    spool,
    worker::Shared,
};

/// How often a file is looked at while an agent runs.
const LOOK: Duration = Duration::from_secs(10);
/// What the end of Tor and the deletion of its state may take together, in the background.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The user's answer, for a page of settings; made by [`Agent::consent`](crate::Agent::consent). Clones are
/// the same. It doesn't keep the agent alive.
#[derive(Clone)]
pub struct AgentConsent(Arc<Inner>);

/// What an answer is about, and what it ends.
pub(crate) struct Inner {
    pub(crate) owner: Owner,
    pub(crate) source: Consent,
    pub(crate) declared: Declared,
    pub(crate) folder: Option<Arc<Folder>>,
    pub(crate) ledger: Arc<Book>,
    pub(crate) running: Held,
    pub(crate) shared: Arc<Shared>,
}

impl AgentConsent {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// For [`watch`], where somebody else may take the answer back.
    pub(crate) fn watched(&self) -> Option<Weak<Inner>> {
        self.0.source.is_file().then(|| Arc::downgrade(&self.0))
    }

    /// What was answered last. `DO_NOT_TRACK` and `UNDERTONE_OFF` are not looked at
    /// ([`switched_off`](crate::switched_off)).
    pub fn state(&self) -> Answer {
        self.0.source.answer()
    }

    /// Everything that the program declares: what a user is asked about.
    pub fn schema(&self) -> Schema {
        Schema::clone(&self.0.declared())
    }

    /// Declares something else from now on, and returns what of it was agreed to.
    pub(crate) fn declare(&self, schema: Schema) -> Schema {
        let agreed = self.0.source.part(&schema);
        *self.0.declared.replaced() = Some(Arc::new(schema));
        agreed
    }

    /// What the program declares and the user hasn't agreed to, in words for them; empty where nothing is to
    /// be asked. Until it is agreed to, it isn't sent.
    pub fn pending(&self) -> Vec<Pending> {
        Pending::of(&self.0.declared(), &self.state())
    }

    /// Writes down that the user agrees to everything that the program declares now. It takes effect at
    /// the next start of an agent.
    ///
    /// # Errors
    /// [`ErrorKind::Consent`] if it can't be written, if the host program keeps the answer
    /// ([`Consent::callback`]), or if the environment switches everything off: then nothing is written.
    pub fn grant(&self) -> Result<(), Error> {
        let refused = |why| Err(Error::new(ErrorKind::Consent, why));
        if switched_off().is_some() {
            return refused("DO_NOT_TRACK or UNDERTONE_OFF is set, and wins over consent");
        }
        if !self.0.source.is_file() {
            return refused("the host program keeps the answer");
        }
        self.0.source.keep(&Answer::Granted(Some(self.schema())))
    }

    /// Says no, at once: the answer is written down, nothing is sent any more, what waits is gone, session,
    /// circuits and Tor end, and everything that agents have left in the data folder is deleted, but for what
    /// another process still uses.
    ///
    /// Returns when the answer is written; the rest takes at most ten seconds in the background, or
    /// until what is returned was waited for. What a crash leaves is deleted at the next start. In the child of
    /// a fork only the answer is written: the parent's agent finds it.
    ///
    /// # Errors
    /// [`ErrorKind::Consent`] if the answer can't be written down: the agent ends all the same, and the
    /// next start may find another answer. Where the host program keeps the answer
    /// ([`Consent::callback`]), nothing is written, and it has to answer no from now on.
    pub fn deny(&self) -> Result<Shutdown, Error> {
        let kept = self.0.source.keep(&Answer::Denied);
        let end = self.0.end(OffReason::Denied);
        kept.map(|()| end)
    }
}

/// What the program declares; more than was agreed to, perhaps.
pub(crate) struct Declared {
    first: Arc<Schema>,
    /// By [`Agent::replace_schema`](crate::Agent::replace_schema).
    replaced: Mutex<Option<Arc<Schema>>>,
}

impl Declared {
    pub(crate) fn new(schema: Schema) -> Self {
        Self { first: Arc::new(schema), replaced: Mutex::new(None) }
    }

    fn replaced(&self) -> MutexGuard<'_, Option<Arc<Schema>>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn declared(&self) -> Arc<Schema> {
        // In a child that was forked, the lock may be held for ever.
        let replaced = if self.owner.is_here() { self.declared.replaced().clone() } else { None };
        replaced.unwrap_or_else(|| Arc::clone(&self.declared.first))
    }

    /// Ends the agent, without sending anything more.
    fn end(&self, reason: OffReason) -> Shutdown {
        if !self.owner.is_here() {
            return Shutdown::begin(None, Duration::ZERO);
        }
        self.shared.off(reason);
        // Circuits and sessions end with the runtime that they live on.
        let running = self.running.take();
        let denied = reason == OffReason::Denied;
        let folder = self.folder.clone();
        let ledger = Arc::clone(&self.ledger);
        Shutdown::at_once(running, END_LIMIT, move |left| {
            let Some(folder) = &folder else {
                if denied {
                    ledger.forget();
                }
                return true;
            };
            if !denied {
                // What waits is dropped (P1); the folder is this agent's own.
                let spool = folder.path().map(|path| path.join(spool::disk::FOLDER));
                return spool.is_none_or(|spool| match fs::remove_dir_all(spool) {
                    Err(error) => error.kind() == io::ErrorKind::NotFound,
                    Ok(()) => true,
                });
            }
            ledger.forget();
            folder.let_go();
            // What can't be deleted now is tried again at the next start.
            deletion::delete(folder.data_dir(), left).left.is_empty()
        })
    }

    /// Why the agent must end, if its answer, or part of it, was taken back since it was started. What is left
    /// of it the next start sends.
    fn revoked(&self) -> Option<OffReason> {
        match self.source.answer() {
            Answer::Granted(None) => None,
            Answer::Granted(Some(agreed)) => {
                self.shared.is_beyond(&agreed).then_some(OffReason::NoConsent)
            }
            Answer::Denied => Some(OffReason::Denied),
            Answer::Unasked => Some(OffReason::NoConsent),
        }
    }
}

/// Ends the agent when its answer is taken back by another process: by hand, by a page of settings, or by
/// another program of the vendor's. Runs on the agent's runtime until there is no agent any more.
pub(crate) async fn watch(consent: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(consent) = consent.upgrade() else { return };
        if let Some(reason) = consent.revoked() {
            // Goes on by itself.
            drop(consent.end(reason));
            return;
        }
    }
}

impl fmt::Debug for AgentConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentConsent")
    }
}

#[cfg(test)]
mod tests {
    use crate::{Agent, Clock, State, Transport};

    use super::*;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    fn schema(names: &[&str]) -> Schema {
        let measurement = |name: &&str| {
            format!(
                "[[measurement]]\nname = \"{name}\"\nkind = \"counter\"\ndescription = \"Some.\"\n"
            )
        };
        let measurements: String = names.iter().map(measurement).collect();
        Schema::from_toml(&format!("namespace = \"app\"\n{measurements}")).unwrap()
    }

    #[test]
    fn p1_a_denial_after_the_agent_waits_for_what_still_uses_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (answer, data_dir) = (folder.path().join("consent"), folder.path().join("data"));
        Answer::Granted(None).write(&answer).unwrap();
        let agent = Agent::builder(ONION.parse().unwrap())
            .schema(schema(&["hits"]))
            .consent(Consent::file(&answer))
            .transport(Transport::socks(([127, 0, 0, 1], 9).into()))
            .data_dir(&data_dir)
            .clock(Clock::simulated(1).0)
            .start()
            .unwrap();
        let consent = agent.consent();
        // As a runtime does that still ends.
        let used = crate::folder::Claimed::first_free(&data_dir).unwrap();
        drop(agent);
        let denied = consent.deny().unwrap();
        assert!(used.path().exists(), "it was used");
        drop(used);
        denied.wait();
        assert!(!data_dir.exists(), "what was used is left");
    }

    #[test]
    fn p1_part_of_an_answer_that_is_taken_back_ends_what_sends_it() {
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("consent");
        let agreed = |names: &[&str]| {
            Answer::Granted(Some(schema(names))).write(&answer).unwrap();
        };
        agreed(&["hits", "visits", "errors"]);
        // Under a clock that stands still nothing is ever sent.
        let agent = Agent::builder(ONION.parse().unwrap())
            .schema(schema(&["hits", "visits"]))
            .consent(Consent::file(&answer))
            .transport(Transport::socks(([127, 0, 0, 1], 9).into()))
            .clock(Clock::simulated(1).0)
            .start()
            .unwrap();
        let consent = agent.consent();
        assert_eq!(consent.0.revoked(), None);
        agreed(&["hits", "visits"]);
        assert_eq!(consent.0.revoked(), None, "nothing of it is sent by this agent");
        agreed(&["hits"]);
        assert_eq!(consent.0.revoked(), Some(OffReason::NoConsent));

        // What is declared from the next session on counts, too.
        agreed(&["hits", "visits", "errors"]);
        agent.replace_schema(schema(&["errors"])).unwrap();
        agreed(&["hits", "visits"]);
        assert_eq!(consent.0.revoked(), Some(OffReason::NoConsent));
        assert_eq!(agent.state(), State::Silent, "until it is looked at");
    }
}
