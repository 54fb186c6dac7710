//! `[[listener]]`: where other programs on this machine hand their points over.
//!
//! Loopback is not a boundary, since any web page can post to it: on TCP a token is required.

use std::{fmt, fs, net::SocketAddr, path::PathBuf};

use undertone_collectors::listener::SocketMode;

use super::{
    error::ConfigError,
    section::{Found, Section, Text},
};

pub(super) const KEYS: &[&str] = &["unix", "mode", "tcp", "token_file"];
/// To write to a socket, who opens it must be allowed to read and write; no other bit of a mode says anything.
const MODES: [(&str, SocketMode); 3] =
    [("0600", SocketMode::User), ("0660", SocketMode::Group), ("0666", SocketMode::All)];
/// Shorter ones can be guessed.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenerConfig {
    /// A unix socket.
    Unix {
        /// Where.
        path: PathBuf,
        /// Who may open it, hence write.
        mode: SocketMode,
    },
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
            Self::Unix { path, .. } => write!(f, "the unix socket {}", path.display()),
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
        let mode = section.text("mode")?;
        if let (None, Some(mode)) = (&unix, &mode) {
            return Err(mode.wrong("this is the mode of a unix socket: remove it, or use `unix`"));
        }
        let mode = mode.map(|mode| mode.choice(&MODES)).transpose()?.unwrap_or_default();
        match (unix, tcp, section.text("token_file")?) {
            (Some(unix), None, None) => Ok((Self::Unix { path: unix.path()?, mode }, unix)),
            (None, Some(tcp), Some(token_file)) => {
                let (address, token) = (loopback(&tcp)?, token(&token_file)?);
                Ok((Self::Tcp { address, token }, tcp))
            }
            (None, Some(tcp), None) => Err(tcp.wrong(
                "on TCP every program and every web page can write here, so `token_file` is \
                 required beside it; or use `unix`",
            )),
            (Some(_), None, Some(token_file)) => Err(token_file.wrong(
                "on a unix socket no token is asked for: its `mode` says who may write; remove this",
            )),
            (Some(_), Some(tcp), _) => {
                Err(tcp.wrong("`unix` is set as well: make two listeners of it"))
            }
            (None, None, _) => Err(section.missing("unix", "a listener needs `unix` or `tcp`")),
        }
    }

    fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
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
