//! `[[listener]]`: where other programs on this machine hand their points over.
//!
//! Loopback is not a boundary, since any web page can post to it: on TCP a token is required.

use std::{fmt, fs, net::SocketAddr, path::PathBuf};

use super::{
    error::ConfigError,
    section::{Found, Section, Text},
};

pub(super) const KEYS: &[&str] = &["unix", "tcp", "token_file"];
/// Shorter ones can be guessed.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenerConfig {
    /// A unix socket, whose mode says who may write.
    Unix(PathBuf),
    /// A TCP port on loopback.
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What clients must show.
        token: Token,
    },
}

/// The secret of a listener's clients.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "the unix socket {}", path.display()),
            Self::Tcp { address, .. } => write!(f, "http://{address}"),
        }
    }
}

impl ListenerConfig {
    pub(super) fn read_all(root: &mut Section) -> Result<Vec<Self>, ConfigError> {
        let mut listeners: Vec<Self> = Vec::new();
        for table in root.tables("listener")? {
            let section = Section::new("listener", table.place, table.value, KEYS)?;
            let (listener, found) = Self::read(section)?;
            if listeners.iter().any(|other| other.is_where(&listener)) {
                return Err(found.wrong("another listener is there already"));
            }
            listeners.push(listener);
        }
        Ok(listeners)
    }

    fn read(mut section: Section) -> Result<(Self, Found<Text>), ConfigError> {
        let (unix, tcp) = (section.text("unix")?, section.text("tcp")?);
        match (unix, tcp, section.text("token_file")?) {
            (Some(unix), None, None) => Ok((Self::Unix(unix.path()?), unix)),
            (None, Some(tcp), Some(token_file)) => {
                let (address, token) = (loopback(&tcp)?, token(&token_file)?);
                Ok((Self::Tcp { address, token }, tcp))
            }
            (None, Some(tcp), None) => Err(tcp.wrong(
                "on TCP every program and every web page can write here, so `token_file` is \
                 required beside it; or use `unix`",
            )),
            (Some(_), None, Some(token_file)) => Err(token_file.wrong(
                "on a unix socket no token is asked for: only this user may open it; remove this",
            )),
            (Some(_), Some(tcp), _) => {
                Err(tcp.wrong("`unix` is set as well: make two listeners of it"))
            }
            (None, None, _) => Err(section.missing("unix", "a listener needs `unix` or `tcp`")),
        }
    }

    fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Tcp { address: one, .. }, Self::Tcp { address: other, .. }) => one == other,
            _ => false,
        }
    }
}

fn loopback(found: &Found<Text>) -> Result<SocketAddr, ConfigError> {
    match found.as_str().parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() && address.port() != 0 => Ok(address),
        Ok(_) => Err(found.wrong("only a loopback address and a port, such as \"127.0.0.1:8186\"")),
        Err(_) => Err(found.wrong("an address and a port, such as \"127.0.0.1:8186\"")),
    }
}

fn token(found: &Found<Text>) -> Result<Token, ConfigError> {
    let path = found.path()?;
    let wrong = |reason: &str| found.wrong(format!("{}: {reason}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| wrong(&error.to_string()))?;
    let token = text.trim();
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || !TOKEN_LENGTH.contains(&token.len()) {
        return Err(wrong(
            "a token is 16 to 512 letters, digits and signs without blanks: `openssl rand -hex 32` \
             makes one",
        ));
    }
    Ok(Token(token.to_owned()))
}
