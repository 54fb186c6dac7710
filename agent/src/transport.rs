//! How an agent reaches an onion service: by Tor in this process, or by a tor that runs already.

#[cfg(feature = "tor")]
mod embedded;
mod socks;

use std::{fmt, net::SocketAddr, pin::Pin, sync::Arc};

use rand::Rng;
use tokio::io::{AsyncRead, AsyncWrite};
use undertone_wire::endpoint::Endpoint;

use crate::{clock::Randomness, error::Error, folder::Folder};

/// How to reach the ingest side.
#[derive(Clone)]
#[non_exhaustive]
pub enum Transport {
    /// Tor in this process, by Arti.
    #[cfg(feature = "tor")]
    #[non_exhaustive]
    Embedded {
        /// arti's own configuration in TOML: bridges, pluggable transports, an outbound proxy, or
        /// another network; empty for its defaults, but that an idle Tor is kept quiet: `channel.padding`
        /// is `"reduced"`, and `preemptive_circuits` are off, unless this says otherwise.
        configuration: String,
    },
    /// The SOCKS5 port of a tor that runs already. Sessions are kept apart by SOCKS credentials,
    /// so that port must isolate by them (`IsolateSOCKSAuth`, which is tor's default).
    #[non_exhaustive]
    Socks {
        /// Where it listens.
        proxy: SocketAddr,
    },
}

impl Transport {
    /// Tor in this process, on the public network.
    #[cfg(feature = "tor")]
    pub fn embedded() -> Self {
        Self::embedded_with("")
    }

    /// Tor in this process, with arti's own configuration in TOML.
    #[cfg(feature = "tor")]
    pub fn embedded_with(configuration: impl Into<String>) -> Self {
        Self::Embedded { configuration: configuration.into() }
    }

    /// The SOCKS5 port of a tor that runs already.
    pub fn socks(proxy: SocketAddr) -> Self {
        Self::Socks { proxy }
    }

    /// Makes it ready on `runtime`, without connecting.
    pub(crate) fn open(
        &self,
        runtime: &tokio::runtime::Handle,
        folder: Option<Arc<Folder>>,
    ) -> Result<Arc<dyn Connect>, Error> {
        match self {
            #[cfg(feature = "tor")]
            Self::Embedded { configuration } => {
                Ok(Arc::new(embedded::Embedded::open(configuration, runtime, folder)?))
            }
            Self::Socks { proxy } => {
                let _ = (runtime, folder);
                Ok(Arc::new(socks::Socks::new(*proxy)))
            }
        }
    }
}

/// How far Tor in this process has found its way into the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TorStatus {
    /// In percent; at 100 it can be used.
    pub percent: u8,
    /// What seems to be in the way.
    pub trouble: Option<TorTrouble>,
}

/// What seems to keep Tor from its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TorTrouble {
    /// There is no network.
    Offline,
    /// Connections are intercepted or blocked.
    Filtered,
    /// There is a network, but no relay answers.
    Unreachable,
    /// This machine's clock is wrong.
    Clock,
    /// The directory can't be downloaded.
    Directory,
    /// Something else.
    Other,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "tor")]
            Self::Embedded { .. } => f.write_str("Embedded"),
            Self::Socks { .. } => f.write_str("Socks"),
        }
    }
}

/// Streams of different isolations never share a circuit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Isolation(pub(crate) [u8; 16]);

impl Isolation {
    /// One that nothing else has.
    pub(crate) fn random(randomness: &mut Randomness) -> Self {
        let mut isolation = [0; 16];
        randomness.fill_bytes(&mut isolation);
        Self(isolation)
    }

    /// Another one, for the same session.
    pub(crate) fn next(self) -> Self {
        Self(u128::from_be_bytes(self.0).wrapping_add(1).to_be_bytes())
    }
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isolation")
    }
}

/// A future that a trait object can return.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream to the ingest side.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens streams.
pub(crate) trait Connect: Send + Sync {
    /// Connects, bootstrapping first where that is needed.
    fn connect<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        isolation: Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>>;

    /// Ends the circuit of a session that is over, where there is a way to (invariant P7).
    fn end(&self, isolation: Isolation);

    /// How far Tor in this process has come; none where another tor is used, or none was needed yet.
    fn tor(&self) -> Option<TorStatus> {
        None
    }

    /// Gets ready for the first connection; how well that went shows when one is made.
    fn warm_up(&self) -> Pending<'_, ()>;
}

/// Why no stream could be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// Tor itself doesn't work: not bootstrapped, blocked, or the SOCKS port is dead.
    Tor,
    /// Tor works; the onion service can't be reached.
    Endpoint,
    /// The data folder can't be written, locked or read.
    #[cfg_attr(
        not(feature = "tor"),
        expect(dead_code, reason = "only Tor in this process has one")
    )]
    Folder,
}
