//! What a host program holds: a builder, the agent, and what it says of itself.
//!
//! The agent never makes its host suffer: it blocks nothing, its memory is bounded, and whatever goes
//! wrong after the start shows in [`Agent::state`] and nowhere else. It runs on a tokio runtime of its
//! own, whose end is the one sure way to stop Tor.

use std::{
    panic,
    path::PathBuf,
    sync::{Arc, Weak},
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
    consent::{Consent, OffReason},
    error::{Error, ErrorKind},
    folder::Folder,
    gate::Gate,
    ledger::{Book, Ledger, Sent},
    points::{Inbox, Points},
    preview::Preview,
    profile::Profile,
    pusher::FailureKind,
    session::Session,
    shutdown::Shutdown,
    transport::{Connect, TorStatus, Transport},
    worker::{Look, Shared, Stop, Worker},
};

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
    // Tor is the runtime's to keep.
    transport: Option<Weak<dyn Connect>>,
    ledger: Arc<Book>,
    pub(crate) running: Option<Running>,
}

/// The agent's task and the runtime that it lives on.
///
/// Dropping it stops both without waiting: the host may be inside a runtime of its own, where a
/// runtime that is dropped in order panics.
pub(crate) struct Running {
    runtime: Option<Runtime>,
    stop: mpsc::Sender<Stop>,
    looks: mpsc::Sender<Look>,
}

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
    /// Parcels that were dropped since too many waited, they waited too long, or their session ended.
    pub parcels_dropped: u64,
    /// Pushes that failed; each is tried again.
    pub pushes_failed: u64,
    /// Readings that the gate refused.
    pub readings_refused: u64,
    /// Series that did not fit into a parcel.
    pub series_dropped: u64,
}

/// Collects what an agent needs; made by [`Agent::builder`].
pub struct AgentBuilder {
    ingest: Ingest,
    schema: Option<Result<Schema, SchemaError>>,
    profile: Profile,
    consent: Option<Consent>,
    transport: Option<Transport>,
    data_dir: Option<PathBuf>,
    ledger: Option<Ledger>,
    clock: Clock,
}

impl Agent {
    /// Begins to build an agent that reports to `ingest`.
    pub fn builder(ingest: Ingest) -> AgentBuilder {
        AgentBuilder {
            ingest,
            schema: None,
            profile: Profile::default(),
            consent: None,
            transport: None,
            data_dir: None,
            ledger: None,
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
        I::register(&self.registry)
    }

    /// Where points from elsewhere are handed over, if the schema is open ([`Schema::open`]).
    pub fn points(&self) -> Points {
        self.points.clone()
    }

    /// What the agent is doing.
    pub fn state(&self) -> State {
        self.shared.seen().state
    }

    /// How far Tor in this process has come; none while it isn't needed, and with another tor.
    pub fn tor(&self) -> Option<TorStatus> {
        self.transport.as_ref()?.upgrade()?.tor()
    }

    /// What the agent has done so far.
    pub fn statistics(&self) -> Statistics {
        self.shared.seen().statistics
    }

    /// The session that this agent reports under now, so that a user can find it in a database and
    /// have it deleted. None while the agent is off, or silent between two sessions.
    pub fn session(&self) -> Option<SessionId> {
        self.shared.seen().session
    }

    /// What was sent in the last 24 hours, byte for byte, chaff included, the oldest first (invariant P9).
    ///
    /// With a ledger on disk also by earlier runs, and by other processes of the same data folder; then this
    /// reads files, and [`crate::ledger::read`] shows the same without an agent.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`] if its files can't be read.
    pub fn sent(&self) -> Result<Sent, Error> {
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
        self.running.as_ref()?.looks.try_send(Look(tell)).ok()?;
        told.recv_timeout(LOOK_LIMIT).ok()
    }

    /// Stops the agent within `limit`, also where Tor hangs. Wait for the result, or don't.
    ///
    /// In the profile `fleet` what waits is sent first; in `anonymous` it is gone.
    pub fn shutdown(mut self, limit: Duration) -> Shutdown {
        Shutdown::begin(self.running.take(), limit)
    }
}

impl Running {
    /// Tells the task to stop. What is returned closes, or is sent to, when it has.
    pub(crate) fn stop(&self) -> std::sync::mpsc::Receiver<()> {
        let (told, stopped) = std::sync::mpsc::channel();
        // A task that is gone needs not be told.
        let _ = self.stop.try_send(Stop(told));
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
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
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
        self.data_dir = Some(folder.into());
        self
    }

    /// Where the ledger is kept; on disk unless set, or in memory where there is no data folder.
    #[must_use]
    pub fn ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
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
    /// [`ErrorKind::Schema`]; [`ErrorKind::TorConfiguration`]; [`ErrorKind::Resources`].
    pub fn start(self) -> Result<Agent, Error> {
        let schema = self
            .schema
            .ok_or_else(|| Error::new(ErrorKind::Incomplete, "an agent needs a schema: schema(…)"))?
            .map_err(|error| Error::new(ErrorKind::Schema, "the schema").because(error))?;
        if schema.is_open() && !self.profile.may_be_open() {
            let why = "an open schema is for machines of one's own: profile(Profile::Fleet(…))";
            return Err(Error::new(ErrorKind::Schema, why));
        }
        let registry = Registry::new();
        let folder = self.data_dir.map(|data_dir| Arc::new(Folder::new(data_dir)));
        let ledger = self.ledger.unwrap_or(Ledger::Disk);
        let ledger = Book::new(ledger, folder.clone(), self.clock.clone());
        let consent = self.consent.as_ref().map_or(Err(OffReason::NoConsent), Consent::check);
        if let Err(reason) = consent {
            let shared = Arc::new(Shared::new(State::Off(reason), None));
            let (points, transport) = (Points::off(), None);
            return Ok(Agent { registry, shared, points, transport, ledger, running: None });
        }

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
        let running = Running { runtime: Some(runtime), stop, looks };
        let transport = transport.open(&handle, folder)?;
        let clock = self.clock;
        if self.ingest.endpoints.is_empty() {
            let what = "an agent needs an onion address to report to";
            return Err(Error::new(ErrorKind::Incomplete, what));
        }
        // Without rotation, the host may ask for the session at once.
        let first = match self.profile.rotation() {
            Some(_) => None,
            None => Some(Session::new(self.ingest.deployment, clock.randomness())),
        };
        let state = if first.is_some() { State::Bootstrapping } else { State::Silent };
        let shared = Arc::new(Shared::new(state, first.as_ref().map(Session::id)));
        let (inbox, points) = Inbox::new();
        let seen = Some(Arc::downgrade(&transport));
        let worker = Worker {
            profile: self.profile,
            deployment: self.ingest.deployment,
            endpoints: self.ingest.endpoints,
            transport,
            registry: registry.clone(),
            interval: schema.interval(),
            gate: Gate::new(Arc::new(schema)),
            inbox,
            ledger: Arc::clone(&ledger),
            looks: looked,
            clock,
            shared: Arc::clone(&shared),
            parcels_dropped: 0,
        };
        handle.spawn(Book::keep(Arc::downgrade(&ledger)));
        handle.spawn(worker.run(first, stopped));
        Ok(Agent { registry, shared, points, transport: seen, ledger, running: Some(running) })
    }
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
