//! The proxy's side towards Tor: byte streams, and which circuit each came on.
//!
//! Here is what both fronts share. `onion` is an onion service of arti, in this process; `socket` is
//! a unix socket behind a tor that runs already. What a stream says is not their concern.

#[cfg(not(feature = "tor"))]
mod keyless;
#[cfg(feature = "tor")]
mod onion;
mod socket;

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::Instant,
};
use undertone_wire::{
    endpoint::OnionAddress,
    session::{SessionId, SessionPublicKey},
};

#[cfg(not(feature = "tor"))]
pub(crate) use self::keyless::Keystore;
#[cfg(feature = "tor")]
pub(crate) use self::onion::Keystore;
#[cfg(feature = "tor")]
use self::onion::Onion;
use self::socket::Socket;
use crate::{
    admission::Ticket,
    config::{Config, FrontConfig, Limits},
    error::{Error, ErrorKind},
    rate::Used,
};

/// Tor's keys and cache, inside the data folder.
#[cfg(feature = "tor")]
const TOR_FOLDER: &str = "tor";

/// At the end, what is being answered may take this long.
const GRACE: Duration = Duration::from_secs(3);

/// A byte stream of a client of the onion service.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for C {}

/// What answers streams.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Serves one stream of a circuit until it ends.
    fn answer(
        self,
        stream: impl Connection,
        circuit: Arc<Circuit>,
    ) -> impl Future<Output = ()> + Send;
}

/// A rendezvous circuit: the nearest thing to a client that an onion service knows.
#[derive(Debug)]
pub(crate) struct Circuit {
    began: Instant,
    session: OnceLock<Brought>,
    requests: Mutex<Requests>,
    ended: AtomicBool,
    ticket: OnceLock<Ticket>,
}

/// Whose points a circuit has brought first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// An agent's, who signs.
    Verified(SessionPublicKey),
    /// Somebody's who signs nothing; what was drawn for this circuit.
    Unsigned(SessionId),
}

/// What a circuit has asked for.
#[derive(Debug, Default)]
struct Requests {
    used: Used,
    /// How many were too many, less how many were not.
    excess: u64,
}

impl Default for Circuit {
    /// One that begins now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            session: OnceLock::new(),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
            ticket: OnceLock::new(),
        }
    }
}

impl Circuit {
    /// How long it is kept without a new stream.
    fn idle_limit(&self, limits: &Limits) -> Duration {
        limits.circuit(self.session.get().is_some())
    }

    /// A request begins; whether the circuit may make it now. One that goes on although it may not is
    /// to be ended (invariant S2).
    pub(crate) fn may_ask(&self, limits: &Limits) -> bool {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let within = requests.used.take(1, &limits.requests_of_circuit(), self.began.elapsed());
        if within {
            requests.excess = requests.excess.saturating_sub(1);
        } else {
            requests.excess += 1;
        }
        if requests.excess >= limits.circuit_ends_after {
            self.ended.store(true, Ordering::Relaxed);
        }
        within
    }

    /// Its place in the line for new sessions; the one given, if it had none.
    pub(crate) fn ticket(&self, new: Ticket) -> Ticket {
        *self.ticket.get_or_init(|| new)
    }

    /// Whether nothing more is to be heard of it.
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether this is the circuit's only session so far (invariant P7).
    pub(crate) fn belongs_to(&self, session: SessionPublicKey) -> bool {
        let session = Brought::Verified(session);
        *self.session.get_or_init(|| session) == session
    }

    /// The session of whoever signs nothing on this circuit, drawn for the first; none if the circuit is
    /// an agent's, and it is no agent's afterwards (invariant P7).
    pub(crate) fn unsigned(&self, draw: impl FnOnce() -> SessionId) -> Option<SessionId> {
        match *self.session.get_or_init(|| Brought::Unsigned(draw())) {
            Brought::Unsigned(session) => Some(session),
            Brought::Verified(_) => None,
        }
    }
}

/// A front that is open and doesn't serve yet.
pub(crate) enum Front {
    #[cfg(feature = "tor")]
    Onion(Box<Onion>),
    Socket(Socket),
}

impl Front {
    /// Opens what the configuration says: the onion service's identity, or the socket.
    ///
    /// # Errors
    /// With the kind of what can't be opened.
    pub(crate) async fn open(config: &Config) -> Result<Self, Error> {
        match &config.front {
            #[cfg(feature = "tor")]
            FrontConfig::Onion => Ok(Self::Onion(Box::new(open_onion(config)?))),
            #[cfg(not(feature = "tor"))]
            FrontConfig::Onion => Err(without_tor()),
            FrontConfig::Unix(socket) => {
                Ok(Self::Socket(Socket::bind(socket, &config.limits).await?))
            }
        }
    }

    /// The address that agents reach it by.
    pub(crate) fn address(&self) -> &OnionAddress {
        match self {
            #[cfg(feature = "tor")]
            Self::Onion(onion) => onion.address(),
            Self::Socket(socket) => socket.address(),
        }
    }

    /// How far it is before it serves.
    pub(crate) fn progress(&self) -> Progress {
        let kind = match self {
            #[cfg(feature = "tor")]
            Self::Onion(_) => FrontKind::Onion,
            Self::Socket(_) => FrontKind::Unix,
        };
        Progress { kind, ..Progress::default() }
    }

    /// Answers its streams until `stop` says so.
    pub(crate) async fn serve(
        self,
        answer: impl Answer,
        progress: watch::Sender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        match self {
            #[cfg(feature = "tor")]
            Self::Onion(onion) => onion.serve(answer, progress, stop).await,
            Self::Socket(socket) => {
                socket.serve(answer, progress, stop).await;
                Ok(())
            }
        }
    }
}

/// The address that a front of this configuration has, whether it runs or not. Makes the onion
/// service's identity if there is none.
///
/// # Errors
/// [`ErrorKind::Tor`](crate::ErrorKind::Tor) if the keystore can't be used.
pub(crate) fn address(config: &Config) -> Result<OnionAddress, Error> {
    match &config.front {
        #[cfg(feature = "tor")]
        FrontConfig::Onion => Ok(open_onion(config)?.address().clone()),
        #[cfg(not(feature = "tor"))]
        FrontConfig::Onion => Err(without_tor()),
        FrontConfig::Unix(socket) => Ok(socket.onion.clone()),
    }
}

#[cfg(not(feature = "tor"))]
fn without_tor() -> Error {
    let what = "this program was built without Tor: `[front] type = \"unix\"` puts it behind one";
    Error::new(ErrorKind::Configuration, what)
}

/// Where the identity of a front of this configuration is kept.
///
/// # Errors
/// [`ErrorKind::Identity`] if that is a tor in front; [`ErrorKind::Tor`] if the keystore can't be used.
pub(crate) fn keystore(config: &Config) -> Result<Keystore, Error> {
    match &config.front {
        #[cfg(feature = "tor")]
        FrontConfig::Onion => Keystore::open(&config.data_dir.join(TOR_FOLDER), &config.tor),
        #[cfg(not(feature = "tor"))]
        FrontConfig::Onion => Err(without_tor()),
        FrontConfig::Unix(_) => {
            let what = "the key is that of the tor in front, in its `HiddenServiceDir`";
            Err(Error::new(ErrorKind::Identity, what))
        }
    }
}

#[cfg(feature = "tor")]
fn open_onion(config: &Config) -> Result<Onion, Error> {
    Onion::open(&config.data_dir.join(TOR_FOLDER), &config.tor, &config.limits)
}

/// How far the front is on its way to being reachable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Which front it is.
    pub kind: FrontKind,
    /// Bootstrap of Tor, in percent. Of a tor in front nothing is known: 0.
    pub bootstrap_percent: u8,
    /// Whether introduction points and descriptor are up. arti may say so late: an agent can often
    /// get through before. Of a tor in front: whether it has brought a stream since the start.
    pub published: bool,
    /// Streams of a tor in front that were closed since they named no circuit.
    pub streams_refused: u64,
}

/// The kinds of fronts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontKind {
    /// An onion service in this process.
    #[default]
    Onion,
    /// A unix socket behind a tor that runs already.
    Unix,
}
