//! Tokens and passwords: where they come from, and how a request shows them.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use hyper::header::HeaderValue;

use super::{SinkError, wrong};

/// A token or a password. `Debug` doesn't show it.
#[derive(Clone)]
pub struct Secret {
    text: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// What is in a file, without the blank space around it. The file is read again when the database
    /// refuses the secret.
    ///
    /// # Errors
    /// If the file can't be read, or isn't text.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Ok(Self { text: read(&path)?, file: Some(path) })
    }

    /// None: for a database that asks for none.
    pub fn none() -> Self {
        Self { text: String::new(), file: None }
    }

    pub(in crate::sink) fn text(&self) -> &str {
        &self.text
    }

    /// That it can be a token, which stands in a header as it is.
    pub(crate) fn check(&self) -> Result<(), SinkError> {
        let fits = self.text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if fits { Ok(()) } else { Err(wrong(NO_TOKEN)) }
    }

    /// The secret that stands in the file now, if it is another one.
    pub(super) async fn read_again(&self) -> Option<Self> {
        let file = self.file.clone()?;
        let path = file.clone();
        let text = tokio::task::spawn_blocking(move || read(&path)).await.ok()?.ok()?;
        (text != self.text).then_some(Self { text, file: Some(file) })
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), file: None }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("file", &self.file).finish_non_exhaustive()
    }
}

/// How a request says who it is.
#[derive(Debug, Clone)]
pub(in crate::sink) enum Authorization {
    /// InfluxDB 1: a name and a password (RFC 7617).
    Basic { username: String },
    /// InfluxDB 2.
    Token,
    /// InfluxDB 3 (RFC 6750).
    Bearer,
    /// A database that asks for nothing.
    Nothing,
}

impl Authorization {
    /// The header's value; `None`: there is none, as for an empty token.
    pub(super) fn header(&self, secret: &Secret) -> Result<Option<HeaderValue>, SinkError> {
        let text = secret.text();
        let value = match self {
            Self::Basic { username } => {
                format!("Basic {}", BASE64.encode(format!("{username}:{text}").as_bytes()))
            }
            Self::Token | Self::Bearer if text.is_empty() => return Ok(None),
            Self::Token | Self::Bearer => {
                secret.check()?;
                format!("{} {text}", if matches!(self, Self::Token) { "Token" } else { "Bearer" })
            }
            Self::Nothing => return Ok(None),
        };
        // Without the source, which may quote the value.
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong(NO_TOKEN))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

const NO_TOKEN: &str = "the token has characters that no InfluxDB token has: is token_file the right \
                        file? It is read again, no restart is needed";
