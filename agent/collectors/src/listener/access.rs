//! Who may ask. On a unix socket, who can open it; on TCP, who knows the token and isn't a web page.

use std::net::SocketAddr;

use hyper::{
    Uri,
    header::{HOST, HeaderMap, ORIGIN},
};

use super::config::Token;

/// The rule of a socket.
#[derive(Debug)]
pub(super) enum Access {
    /// The socket's mode has decided already.
    SocketMode,
    /// Every request is asked.
    Tcp {
        /// What `Host` may be: the address, and `localhost` with its port.
        hosts: [String; 2],
        token: Token,
    },
    /// There is no such socket.
    Nobody,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has an `Origin`: a web page sent it.
    Origin,
    /// Its `Host` is another, as that of a web page whose name was made to lead here.
    Host,
    /// The token is missing or wrong.
    Token,
}

impl Access {
    pub(super) fn tcp(address: Option<SocketAddr>, token: Option<Token>) -> Self {
        let (Some(address), Some(token)) = (address, token) else { return Self::Nobody };
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self::Tcp { hosts, token }
    }

    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let (hosts, token) = match self {
            Self::SocketMode => return Ok(()),
            Self::Nobody => return Err(Refusal::Token),
            Self::Tcp { hosts, token } => (hosts, token),
        };
        if headers.contains_key(ORIGIN) {
            return Err(Refusal::Origin);
        }
        let is_ours = |name: &[u8]| hosts.iter().any(|ours| ours.as_bytes() == name);
        let mut named = headers.get_all(HOST).iter();
        let host = named.next().filter(|_| named.next().is_none());
        let authority = uri.authority().is_none_or(|name| is_ours(name.as_str().as_bytes()));
        if !authority || !host.is_some_and(|host| is_ours(host.as_bytes())) {
            return Err(Refusal::Host);
        }
        if token.is_in(uri, headers) { Ok(()) } else { Err(Refusal::Token) }
    }
}
