//! What a host program holds: a builder, the agent, and what it says of itself.
//!
//! The agent never makes its host suffer: it blocks nothing, its memory is bounded, and whatever goes
//! wrong after the start shows in [`Agent::state`] and nowhere else. It runs on a tokio runtime of its
//! own, whose end is the one sure way to stop Tor.

use std::{
    panic,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use undertone_instruments::{Instruments, RegisterError, Registry};
use undertone_wire::{
    endpoint::Ingest,
    schema::{Schema, SchemaError},
    session::SessionId,
};

use crate::{
    clock::Clock,
    consent::{AgentConsent, Consent, Declared, Inner, OffReason, watch},
    deletion,
    error::{Error, ErrorKind},
    folder::Folder,
    gate::Gate,
    ledger::{Book, Ledger, Sent},
    points::{Inbox, Points},
    preview::Preview,
    process::Owner,
    profile::Profile,
    pusher::FailureKind,
    scope::Scope,
    session::Session,
    shutdown::Shutdown,
    spool::{Drops, disk::Disk},
    transport::{Connect, TorStatus, Transport},
    worker::{Look, Shared, Stop, Worker},
};

/// A parcel that waited for longer would reach a proxy that has forgotten its ID.
const LONGEST_WAIT: Duration = Duration::from_secs(40 * 3_600);
/// Threads of the agent's runtime: Tor's cryptography fits into one.
const THREADS: usize = 1;
/// How long the agent's task may take to say what would go out: it never blocks, but a machine may be busy.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// Aggregates what a program measures and pushes it through Tor.
///
/// Dropping it stops it at once, without waiting; [`Agent::shutdown`] stops it in order.
pub struct Agent {
    registry: Registry,
    shared: Arc<Shared>,
    points: Points,
    profile: Profile,
    // Tor is the runtime's to keep.
    transport: Option<Weak<dyn Connect>>,
    consent: AgentConsent,
    ledger: Arc<Book>,
    owner: Owner,
    pub(crate) running: Held,
}

/// The agent's task and the runtime that it lives on.
///
/// Dropping it stops both without waiting: the host may be inside a runtime of its own, where a
/// runtime that is dropped in order panics.
pub(crate) struct Running {
    runtime: Option<Runtime>,
    stop: Option<mpsc::Sender<Stop>>,
    looks: Option<mpsc::Sender<Look>>,
    owner: Owner,
}

/// What runs, held by the agent and by whoever may end it before the agent's own end.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Option<Running>>>);

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Nothing, and it never will: it has no thread, no file and no connection.
    Off(OffReason),
    /// Between two sessions, or before the first (invariant P3): nothing is reported, and what is
    /// measured now never will be.
    Silent,
    /// Nothing of this session has been pushed yet: Tor finds its way into the network, or no slot has
    /// come.
    Bootstrapping,
    /// The last push was taken.
    Quiet,
    /// The last push failed; the next slot tries again.
    Failing(FailureKind),
}

/// What an agent has done so far. Stays on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Parcels, chaff included, that the ingest side took.
    pub parcels_sent: u64,
    /// Parcels that the ingest side called malformed.
    pub parcels_refused: u64,
    /// Parcels that wait.
    pub parcels_waiting: usize,
    /// Parcels that were given up, by reason.
    pub drops: Drops,
    /// In the profile `fleet`: the disk refuses what waits, which is in memory alone until it takes it.
    pub disk_refuses: bool,
    /// Pushes that failed; each is tried again.
    pub pushes_failed: u64,
    /// Readings that the gate refused.
    pub readings_refused: u64,
    /// Series that did not fit into a parcel.
    pub series_dropped: u64,
}

/// What bounds parcels that wait in the profile `fleet`, where they are on disk if there is a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of parcels, each of which counts as much as a push's body; beyond it the oldest are dropped.
    pub bytes: u64,
    /// How long a parcel waits at most; longer than 40 hours is that: the proxy forgets its ID after 48.
    pub age: Duration,
}

impl Default for SpoolLimits {
    /// 16 MiB, 24 hours.
    fn default() -> Self {
        Self { bytes: 16 << 20, age: Duration::from_secs(24 * 3_600) }
    }
}

/// Collects what an agent needs; made by [`Agent::builder`].
pub struct AgentBuilder {
    ingest: Ingest,
    schema: Option<Result<Schema, SchemaError>>,
    profile: Profile,
    scope: Option<Scope>,
    consent: Option<Consent>,
    transport: Option<Transport>,
    data_dir: Option<PathBuf>,
    ledger: Option<Ledger>,
    spool: SpoolLimits,
    clock: Clock,
}

impl Agent {
    /// Begins to build an agent that reports to `ingest`.
    pub fn builder(ingest: Ingest) -> AgentBuilder {
        AgentBuilder {
            ingest,
            schema: None,
            profile: Profile::default(),
            scope: None,
            consent: None,
            transport: None,
            data_dir: None,
            ledger: None,
            spool: SpoolLimits::default(),
            clock: Clock::system(),
        }
    }

    /// The instruments of a declaration; the same ones each time.
    ///
    /// They work whatever the agent's state, and also after its end. What has memory (counts, averages,
    /// histograms) starts anew with each session.
    ///
    /// # Errors
    /// If the namespace has an instrument of the same name that was declared otherwise.
    pub fn instruments<I: Instruments>(&self) -> Result<I, RegisterError> {
        match self.owner.is_here() {
            true => I::register(&self.registry),
            // The registry's lock may be held for ever; nothing would be read anyway.
            false => I::register(&Registry::new()),
        }
    }

    /// Where points from elsewhere are handed over, if the schema is open ([`Schema::open`]).
    pub fn points(&self) -> Points {
        self.points.clone()
    }

    /// What the agent is doing.
    pub fn state(&self) -> State {
        match self.owner.is_here() {
            true => self.shared.seen().state,
            false => State::Off(OffReason::Forked),
        }
    }

    /// The user's answer, to be shown and changed.
    pub fn consent(&self) -> AgentConsent {
        self.consent.clone()
    }

    /// How far Tor in this process has come; none while it isn't needed, and with another tor.
    pub fn tor(&self) -> Option<TorStatus> {
        self.transport.as_ref().filter(|_| self.owner.is_here())?.upgrade()?.tor()
    }

    /// What the agent has done so far.
    pub fn statistics(&self) -> Statistics {
        match self.owner.is_here() {
            true => self.shared.seen().statistics,
            false => Statistics::default(),
        }
    }

    /// The session that this agent reports under now, so that a user can find it in a database and
    /// have it deleted. None while the agent is off, or silent between two sessions.
    pub fn session(&self) -> Option<SessionId> {
        self.owner.is_here().then(|| self.shared.seen().session)?
    }

    /// Replaces the schema. What is measured from the next session on is held against it: in the profile
    /// `anonymous` after the next silence (with [`Scope::Batch`] in the next batch), in `fleet`, where a
    /// session lasts as long as the agent, after the next cut. The latest one counts.
    ///
    /// What of it goes beyond what the user has agreed to waits for their answer, as at a start
    /// ([`AgentConsent::pending`]).
    ///
    /// # Errors
    /// [`ErrorKind::Schema`]; the schema there is stays.
    pub fn replace_schema<S>(&self, schema: S) -> Result<(), Error>
    where
        S: TryInto<Schema>,
        SchemaError: From<S::Error>,
    {
        let schema = schema.try_into().map_err(SchemaError::from);
        let schema = permitted(schema, self.profile)?;
        if self.owner.is_here() {
            self.shared.keep_schema(self.consent.declare(schema));
        }
        Ok(())
    }

    /// What was sent in the last 24 hours, byte for byte, chaff included, the oldest first (invariant P9).
    ///
    /// With a ledger on disk also by earlier runs, and by other processes of the same data folder; then this
    /// reads files, and [`crate::ledger::read`] shows the same without an agent.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`] if its files can't be read.
    pub fn sent(&self) -> Result<Sent, Error> {
        if !self.owner.is_here() {
            // What it holds in memory may be locked for ever.
            return Ok(Sent::default());
        }
        let read = self.ledger.read();
        read.map_err(|error| Error::new(ErrorKind::Ledger, "read the ledger").because(error))
    }

    /// What would go out now: what waits, and what was read since the last cut. What instruments have
    /// counted in the interval that runs isn't read yet, and is there after it.
    ///
    /// None while there is no session to report under: the agent is off, or silent. Asks the agent's task
    /// and waits for it, mostly less than a millisecond and at most 2 s, after which it is none, too.
    pub fn preview(&self) -> Option<Preview> {
        self.session()?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.running.looks()?.try_send(Look(tell)).ok()?;
        told.recv_timeout(LOOK_LIMIT).ok()
    }

    /// Stops the agent within `limit`, also where Tor hangs. Wait for the result, or don't.
    ///
    /// In the profile `fleet` what waits is sent first; in `anonymous` it is gone.
    pub fn shutdown(self, limit: Duration) -> Shutdown {
        let running = if self.owner.is_here() { self.running.take() } else { None };
        Shutdown::begin(running, limit)
    }
}

impl Running {
    /// Tells the task to stop. What is returned closes, or is sent to, when it has.
    pub(crate) fn stop(&self) -> std::sync::mpsc::Receiver<()> {
        let (told, stopped) = std::sync::mpsc::channel();
        // A task that is gone needs not be told.
        if let Some(stop) = &self.stop {
            let _ = stop.try_send(Stop(told));
        }
        stopped
    }

    /// Ends the runtime, and with it Tor; what still runs at the limit is left to itself.
    pub(crate) fn end(mut self, limit: Duration) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(limit);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (runtime, channels) = (self.runtime.take(), (self.stop.take(), self.looks.take()));
        if !self.owner.is_here() {
            // The locks of a runtime whose threads stayed behind may be held for ever, and its poll
            // is shared with the parent's: not even an orderly end may be tried.
            std::mem::forget((runtime, channels));
        } else if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Held {
    /// What runs, for whoever ends it; nothing the second time, nor in a child that was forked.
    pub(crate) fn take(&self) -> Option<Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where the task that runs is asked for a look; none in a child that was forked.
    fn looks(&self) -> Option<mpsc::Sender<Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.looks.clone()
    }

    fn put(&self, running: Running) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // In a child that was forked, what runs is its parent's, and so may the lock be.
        if self.owner.is_here() {
            drop(self.running.take());
        }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl AgentBuilder {
    /// What may leave: the declaration of an `instruments!`, or a schema from a file.
    #[must_use]
    pub fn schema<S>(mut self, schema: S) -> Self
    where
        S: TryInto<Schema>,
        SchemaError: From<S::Error>,
    {
        self.schema = Some(schema.try_into().map_err(SchemaError::from));
        self
    }

    /// For whom the agent measures; [`Profile::Anonymous`] unless set.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long sessions last; six hours on average unless set. Only in [`Profile::Anonymous`]: in `fleet` there
    /// is one session for as long as the agent runs.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Where the user's answer is found. Without this, there is no consent.
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.consent = Some(consent);
        self
    }

    /// How to reach the ingest side; Tor in this process unless set.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Where Tor keeps its state, and the agent its ledger. Made when it is first needed, with mode 0700.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        // The host may change its working directory.
        self.data_dir = Some(std::path::absolute(&folder).unwrap_or(folder));
        self
    }

    /// Where the ledger is kept; on disk unless set, or in memory where there is no data folder.
    #[must_use]
    pub fn ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// What bounds parcels that wait in the profile `fleet`; in `anonymous` they are few, in memory, and this changes
    /// nothing.
    #[must_use]
    pub fn spool(mut self, limits: SpoolLimits) -> Self {
        self.spool = limits;
        self
    }

    /// Another clock than the system's, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the agent. Returns at once: Tor bootstraps behind it.
    ///
    /// Without consent this is `Ok` and the agent is off: it starts no thread and touches neither
    /// disk nor network.
    ///
    /// # Errors
    /// [`ErrorKind::Incomplete`] without a schema, or without a data folder for Tor or for
    /// [`Ledger::Disk`];
    /// [`ErrorKind::Schema`]; [`ErrorKind::Contradiction`]; [`ErrorKind::TorConfiguration`];
    /// [`ErrorKind::Resources`].
    pub fn start(self) -> Result<Agent, Error> {
        let schema = self.schema.ok_or_else(|| {
            Error::new(ErrorKind::Incomplete, "an agent needs a schema: schema(…)")
        })?;
        let schema = permitted(schema, self.profile)?;
        if self.scope.is_some() && !self.profile.has_scopes() {
            let why = "scope(…) is for Profile::Anonymous: in Profile::Fleet a session lasts as long as the agent";
            return Err(Error::new(ErrorKind::Contradiction, why));
        }
        let (profile, scope) = (self.profile, self.scope.unwrap_or_default());
        let source = self.consent.unwrap_or_else(|| Consent::callback(|| false));
        let answered = source.permits(&schema);
        let running = Held::default();
        let folder = self.data_dir.clone().map(|data_dir| Arc::new(Folder::new(data_dir)));
        let ledger = self.ledger.unwrap_or(Ledger::Disk);
        let ledger = Book::new(ledger, folder.clone(), self.clock.clone());
        let consent = |shared: &Arc<Shared>| {
            let (declared, running) = (Declared::new(schema), running.clone());
            let (owner, shared) = (Owner::this(), Arc::clone(shared));
            let (ledger, data_dir) = (Arc::clone(&ledger), self.data_dir.clone());
            AgentConsent::new(Inner { owner, source, declared, data_dir, ledger, running, shared })
        };
        let agreed = match answered {
            Ok(agreed) => agreed,
            Err(reason) => {
                if let (OffReason::Denied, Some(data_dir)) = (reason, &self.data_dir) {
                    // What a denial left that was cut short.
                    deletion::delete(data_dir, Duration::ZERO);
                }
                let shared = Arc::new(Shared::new(State::Off(reason), None));
                let consent = consent(&shared);
                let (registry, points) = (Registry::new(), Points::off());
                let owner = Owner::this();
                return Ok(Agent {
                    registry,
                    shared,
                    points,
                    profile,
                    transport: None,
                    consent,
                    ledger,
                    owner,
                    running,
                });
            }
        };

        if self.ledger == Some(Ledger::Disk) && folder.is_none() {
            let what = "a ledger on disk needs a data folder: data_dir(…)";
            return Err(Error::new(ErrorKind::Incomplete, what));
        }
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        let no_runtime = || Error::new(ErrorKind::Resources, "start the agent's runtime");
        // tokio panics where the system has no thread left; a host must not.
        let runtime = panic::catch_unwind(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(THREADS).thread_name("undertone").enable_all().build()
        });
        let runtime = runtime
            .map_err(|_| no_runtime().because("no thread is left"))?
            .map_err(|error| no_runtime().because(error))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = mpsc::channel(1);
        let (looks, looked) = mpsc::channel(1);
        // From here on, whatever ends this ends the runtime without waiting.
        running.put(Running {
            runtime: Some(runtime),
            stop: Some(stop),
            looks: Some(looks),
            owner: Owner::this(),
        });
        let deployment = self.ingest.deployment;
        let disk = match (&folder, profile.keeps_on_disk()) {
            (Some(folder), true) => Disk::open(Arc::clone(folder), deployment, self.spool.bytes),
            _ => None,
        };
        let parcel_age = match profile.keeps_on_disk() {
            true => self.spool.age.min(LONGEST_WAIT),
            false => profile.parcel_age(scope),
        };
        let transport = transport.open(&handle, folder)?;
        let clock = self.clock;
        if self.ingest.endpoints.is_empty() {
            let what = "an agent needs an onion address to report to";
            return Err(Error::new(ErrorKind::Incomplete, what));
        }
        // Without rotation, the host may ask for the session at once.
        let first = match self.profile.rotation(scope) {
            Some(_) => None,
            None => Some(Session::new(self.ingest.deployment, &clock)),
        };
        let state = if first.is_some() { State::Bootstrapping } else { State::Silent };
        let shared = Arc::new(Shared::new(state, first.as_ref().map(Session::id)));
        shared.declares(agreed.clone());
        let (inbox, points) = Inbox::new();
        let (seen, registry) = (Some(Arc::downgrade(&transport)), Registry::new());
        let worker = Worker {
            profile,
            scope,
            deployment: self.ingest.deployment,
            endpoints: self.ingest.endpoints,
            transport,
            registry: registry.clone(),
            interval: agreed.interval(),
            gate: Gate::new(Arc::new(agreed)),
            inbox,
            ledger: Arc::clone(&ledger),
            looks: looked,
            clock,
            shared: Arc::clone(&shared),
            parcel_age,
            disk,
            drops: Drops::default(),
        };
        handle.spawn(Book::keep(Arc::downgrade(&ledger)));
        handle.spawn(worker.run(first, stopped));
        let consent = consent(&shared);
        if let Some(inner) = consent.watched() {
            handle.spawn(watch(inner));
        }
        let (transport, owner) = (seen, Owner::this());
        Ok(Agent { registry, shared, points, profile, transport, consent, ledger, owner, running })
    }
}

/// The schema, if there is nothing wrong with it and the profile may have it.
fn permitted(schema: Result<Schema, SchemaError>, profile: Profile) -> Result<Schema, Error> {
    let schema =
        schema.map_err(|error| Error::new(ErrorKind::Schema, "the schema").because(error))?;
    if schema.is_open() && !profile.may_be_open() {
        let why = "an open schema is for machines of one's own: profile(Profile::Fleet(…))";
        return Err(Error::new(ErrorKind::Schema, why));
    }
    Ok(schema)
}

#[cfg(feature = "tor")]
fn default_transport() -> Result<Transport, Error> {
    Ok(Transport::embedded())
}

#[cfg(not(feature = "tor"))]
fn default_transport() -> Result<Transport, Error> {
    Err(Error::new(
        ErrorKind::Incomplete,
        "built without Tor: choose transport(Transport::socks(…))",
    ))
}

#[cfg(test)]
mod tests {
    use undertone_wire::Point;

    use super::*;
    use crate::profile::Rhythm;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn a_data_folder_is_where_it_was_when_it_was_named() {
        let builder = Agent::builder(ONION.parse().unwrap()).data_dir("data");
        assert_eq!(builder.data_dir, Some(std::env::current_dir().unwrap().join("data")));
    }

    #[test]
    fn p3_debug_tells_nothing_secret() {
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("secret-answer");
        std::fs::write(&answer, "granted").unwrap();
        let ingest: Ingest = ONION.parse().unwrap();
        let (consent, transport) =
            (Consent::file(&answer), Transport::socks(([127, 0, 0, 1], 9).into()));
        let mut shown = format!("{ingest:?} {consent:?} {transport:?}");
        let builder = Agent::builder(ingest)
            .schema(Schema::open("secret.space").unwrap())
            .profile(Profile::Fleet(Rhythm::every(Duration::from_secs(60))))
            .consent(consent)
            .transport(transport)
            .data_dir(folder.path().join("secret-folder"));
        shown += &format!("{builder:?}");
        let agent = builder.start().unwrap();
        assert!(agent.session().is_some());
        agent.points().add(vec![Point::new("secret").field("value", 4_242_i64).at(0)]).unwrap();
        shown += &format!(
            "{agent:?} {:?} {:?} {:?}",
            agent.points(),
            agent.consent(),
            agent.statistics()
        );
        for secret in ["secret", "4242", &ONION[..16]] {
            assert!(!shown.contains(secret), "{secret} is shown: {shown}");
        }
    }
}
