//! Streams through the SOCKS5 port (RFC 1928) of a tor that runs already.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use tokio_socks::{Error as SocksError, tcp::Socks5Stream};
use undertone_wire::endpoint::Endpoint;

use super::{Connect, ConnectError, Isolation, Pending, Stream};

pub(super) struct Socks {
    proxy: SocketAddr,
}

impl Socks {
    pub(super) fn new(proxy: SocketAddr) -> Self {
        Self { proxy }
    }
}

impl Connect for Socks {
    fn connect<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        isolation: Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move {
            // tor gives each pair of credentials circuits of its own.
            let user = HEXLOWER.encode(&isolation.0);
            let target = (endpoint.onion.as_str(), endpoint.port);
            match Socks5Stream::connect_with_password(self.proxy, target, &user, "undertone").await
            {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Stream>),
                Err(SocksError::Io(_) | SocksError::ProxyServerUnreachable) => {
                    Err(ConnectError::Tor)
                }
                Err(_) => Err(ConnectError::Endpoint),
            }
        })
    }

    /// SOCKS has no word for it: tor ends what has been unused for ten minutes (`MaxCircuitDirtiness`).
    fn end(&self, _: Isolation) {}

    fn warm_up(&self) -> Pending<'_, ()> {
        Box::pin(async {})
    }
}
