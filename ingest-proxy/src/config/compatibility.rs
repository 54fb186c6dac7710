//! The table `[compatibility]`: whether clients of InfluxDB may write, too, and what is taken of them.

use std::{
    fs,
    num::{NonZeroU32, NonZeroU64},
    ops::Range,
    path::Path,
    time::Duration,
};

use serde::Deserialize;
use toml::Spanned;
use undertone_wire::{influxdb::Token, schema::SESSION_TAG};

use super::count;

/// What is taken of clients of InfluxDB.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompatibilityConfig {
    /// By what their sessions are told apart.
    pub session: ClientSession,
    /// The tag that is a client's own session, where that is what tells them apart.
    pub client_tag: String,
    /// What they have to know; none: nothing.
    pub token: Option<Token>,
    /// Only measurements that begin with one of these; empty: all that no schema has.
    pub measurements: Vec<String>,
    /// Only requests to one of these databases or buckets; empty: to any.
    pub databases: Vec<String>,
    /// The longest text that a field may have, in bytes; 0: fields of text are left out.
    pub text_bytes: usize,
    /// How old a point may say that it is.
    pub oldest: Duration,
    /// How far ahead of our clock a point may be.
    pub newest: Duration,
    /// Bytes of a body as it is received.
    pub body_bytes: usize,
    /// Bytes of a body that came compressed.
    pub decompressed_bytes: usize,
    /// Lines of a body.
    pub lines: usize,
    /// Bytes of all bodies at once.
    pub memory_bytes: usize,
}

/// By what sessions of clients are told apart, who sign nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientSession {
    /// By the rendezvous circuit that they come on.
    Circuit,
    /// By a tag of their own.
    Client,
}

impl Default for CompatibilityConfig {
    fn default() -> Self {
        Self {
            session: ClientSession::Circuit,
            client_tag: SESSION_TAG.to_owned(),
            token: None,
            measurements: Vec::new(),
            databases: Vec::new(),
            text_bytes: 0,
            oldest: Duration::from_secs(48 * 3_600),
            newest: Duration::from_secs(600),
            body_bytes: 1 << 20,
            decompressed_bytes: 4 << 20,
            lines: 10_000,
            memory_bytes: 64 << 20,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompatibility {
    routes: Option<Spanned<String>>,
    session: Option<Spanned<String>>,
    client_tag: Option<Spanned<String>>,
    token_file: Option<Spanned<String>>,
    #[serde(default)]
    measurements: Vec<Spanned<String>>,
    #[serde(default)]
    databases: Vec<String>,
    max_text_bytes: Option<Spanned<u32>>,
    max_age_hours: Option<NonZeroU32>,
    max_ahead_seconds: Option<u32>,
    max_body_bytes: Option<NonZeroU64>,
    max_decompressed_bytes: Option<NonZeroU64>,
    max_lines: Option<NonZeroU64>,
    max_memory_bytes: Option<Spanned<NonZeroU64>>,
}

/// A mistake: its key, where it is, what is wrong.
type Mistake = (&'static str, Range<usize>, String);

/// The longest text that may be asked for: what line protocol's readers take without trouble.
const TEXT_LIMIT: u32 = 65_535;

/// None where the routes are off. Paths are relative to `folder`.
pub(super) fn checked(
    raw: Spanned<RawCompatibility>,
    folder: &Path,
) -> Result<Option<CompatibilityConfig>, Mistake> {
    let table = raw.span();
    let raw = raw.into_inner();
    let mut config = CompatibilityConfig::default();
    let on = match raw.routes.as_ref().map_or("off", |routes| routes.get_ref()) {
        "on" => true,
        "off" => false,
        _ => {
            let span = raw.routes.map_or(table, |routes| routes.span());
            return Err(("routes", span, "\"on\" or \"off\"".to_owned()));
        }
    };
    if let Some(session) = raw.session {
        config.session = match session.get_ref().as_str() {
            "circuit" => ClientSession::Circuit,
            "client" => ClientSession::Client,
            _ => return Err(("session", session.span(), "\"circuit\" or \"client\"".to_owned())),
        };
    }
    if let Some(tag) = raw.client_tag {
        if config.session != ClientSession::Client {
            let what = "is for `session = \"client\"`".to_owned();
            return Err(("client_tag", tag.span(), what));
        }
        if tag.get_ref().is_empty() {
            return Err(("client_tag", tag.span(), "the name of a tag".to_owned()));
        }
        config.client_tag = tag.into_inner();
    }
    if let Some(file) = raw.token_file {
        config.token = Some(token(&folder.join(file.get_ref())).map_err(|what| {
            let path = folder.join(file.get_ref());
            ("token_file", file.span(), format!("{}: {what}", path.display()))
        })?);
    }
    for prefix in raw.measurements {
        if prefix.get_ref().is_empty() {
            let what = "every name begins with \"\": leave the key out for all".to_owned();
            return Err(("measurements", prefix.span(), what));
        }
        config.measurements.push(prefix.into_inner());
    }
    config.databases = raw.databases;
    if let Some(bytes) = raw.max_text_bytes {
        if *bytes.get_ref() > TEXT_LIMIT {
            return Err(("max_text_bytes", bytes.span(), format!("at most {TEXT_LIMIT}")));
        }
        config.text_bytes = count(u64::from(bytes.into_inner()));
    }
    if let Some(hours) = raw.max_age_hours {
        config.oldest = Duration::from_secs(u64::from(hours.get()) * 3_600);
    }
    if let Some(seconds) = raw.max_ahead_seconds {
        config.newest = Duration::from_secs(u64::from(seconds));
    }
    for (key, to) in [
        (raw.max_body_bytes, &mut config.body_bytes),
        (raw.max_decompressed_bytes, &mut config.decompressed_bytes),
        (raw.max_lines, &mut config.lines),
    ] {
        if let Some(value) = key {
            *to = count(value.get());
        }
    }
    let largest = config.body_bytes.max(config.decompressed_bytes);
    if let Some(bytes) = raw.max_memory_bytes {
        config.memory_bytes = count(bytes.get_ref().get());
        if config.memory_bytes < largest {
            let what = format!("less than one body may have, {largest}");
            return Err(("max_memory_bytes", bytes.span(), what));
        }
    }
    config.memory_bytes = config.memory_bytes.max(largest);
    Ok(on.then_some(config))
}

fn token(path: &Path) -> Result<Token, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    Token::new(text.trim()).map_err(|why| format!("the token {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(folder: &Path, text: &str) -> Result<Option<CompatibilityConfig>, String> {
        Config::parse(text, folder).map(|config| config.compatibility)
    }

    #[test]
    fn s1_the_routes_are_off_unless_they_are_turned_on() {
        let folder = tempfile::tempdir().unwrap();
        for (text, on) in [
            ("", false),
            ("[compatibility]\n", false),
            ("[compatibility]\nsession = \"client\"\ndatabases = [\"mydb\"]\n", false),
            ("[compatibility]\nroutes = \"off\"\n", false),
            ("[compatibility]\nroutes = \"on\"\n", true),
        ] {
            assert_eq!(parse(folder.path(), text).unwrap().is_some(), on, "{text}");
        }
    }

    #[test]
    fn every_key_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "0123456789abcdef\n").unwrap();
        let text = "[compatibility]\nroutes = \"on\"\nsession = \"client\"\nclient_tag = \"id\"\n\
                    token_file = \"token\"\nmeasurements = [\"geth.\"]\ndatabases = [\"mydb\"]\n\
                    max_text_bytes = 64\nmax_age_hours = 1\nmax_ahead_seconds = 2\nmax_body_bytes = 3\n\
                    max_decompressed_bytes = 4\nmax_lines = 5\nmax_memory_bytes = 6\n";
        let config = parse(folder.path(), text).unwrap().unwrap();
        assert_eq!(config.session, ClientSession::Client);
        assert_eq!(config.client_tag, "id");
        assert!(config.token.unwrap().is(b"0123456789abcdef"));
        assert_eq!(config.measurements, ["geth."]);
        assert_eq!(config.databases, ["mydb"]);
        let times = (config.oldest.as_secs(), config.newest.as_secs());
        assert_eq!(times, (3_600, 2));
        let sizes = [
            config.text_bytes,
            config.body_bytes,
            config.decompressed_bytes,
            config.lines,
            config.memory_bytes,
        ];
        assert_eq!(sizes, [64, 3, 4, 5, 6]);
    }

    #[test]
    fn mistakes_name_line_and_key_and_no_token() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("short"), "s3cret").unwrap();
        for (line, key, what) in [
            ("routes = \"yes\"", "routes", "\"off\""),
            ("session = \"tag\"", "session", "\"circuit\""),
            ("client_tag = \"id\"", "client_tag", "`session = \"client\"`"),
            ("token_file = \"short\"", "token_file", "shorter than 16"),
            ("token_file = \"none\"", "token_file", "No such file"),
            ("measurements = [\"\"]", "measurements", "leave the key out"),
            ("max_text_bytes = 65536", "max_text_bytes", "65535"),
            ("max_memory_bytes = 1000", "max_memory_bytes", "4194304"),
            ("max_lines = 0", "max_lines", "nonzero"),
            ("bucket = \"b\"", "bucket", "unknown field"),
        ] {
            let text = format!("\n[compatibility]\n{line}\n");
            let error = parse(folder.path(), &text).unwrap_err();
            let all = error.contains("line 3") && error.contains(key) && error.contains(what);
            assert!(all && !error.contains("s3cret"), "{line}\n→ {error}");
        }
    }
}
