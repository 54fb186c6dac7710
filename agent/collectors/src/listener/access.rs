//! Who may ask. On a unix socket, who can open it; on TCP, who knows the token and isn't a web page.

use std::net::SocketAddr;

use data_encoding::BASE64;
use hyper::{
    Uri,
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN},
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
        let given = headers.get_all(AUTHORIZATION).iter().any(|value| authorizes(value, token));
        let password = || {
            let query = uri.query().unwrap_or_default().as_bytes();
            form_urlencoded::parse(query).any(|(key, p)| key == "p" && token.is(p.as_bytes()))
        };
        if given || password() { Ok(()) } else { Err(Refusal::Token) }
    }
}

/// Whether an `Authorization` carries the token: `Token` or `Bearer`, where a user's name and a colon may
/// stand before it, or `Basic`.
fn authorizes(value: &HeaderValue, token: &Token) -> bool {
    let value = value.as_bytes();
    let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
    let (scheme, credentials) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"Token") || scheme.eq_ignore_ascii_case(b"Bearer") {
        return token.is(credentials) || is_password(credentials, token);
    }
    scheme.eq_ignore_ascii_case(b"Basic")
        && BASE64.decode(credentials).is_ok_and(|decoded| is_password(&decoded, token))
}

/// Whether the token stands behind a user's name.
fn is_password(credentials: &[u8], token: &Token) -> bool {
    let colon = credentials.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| token.is(&credentials[colon + 1..]))
}
