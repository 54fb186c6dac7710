//! The table `[front]`: how agents reach the proxy.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;
use undertone_wire::endpoint::{EndpointError, OnionAddress};

/// Readable and writable for owner and group: tor is a member of the group.
const DEFAULT_MODE: u32 = 0o660;

/// How agents reach a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrontConfig {
    /// By an onion service of arti, in this process.
    Onion,
    /// By a tor that runs already and connects to a unix socket.
    Unix(UnixFront),
}

/// A unix socket behind a tor with `HiddenServiceExportCircuitID haproxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixFront {
    /// Where the socket is made.
    pub path: PathBuf,
    /// Its permissions; 0660 by default.
    pub mode: u32,
    /// The address that tor has for it.
    pub onion: OnionAddress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFront {
    r#type: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
    mode: Option<Spanned<String>>,
    onion: Option<Spanned<String>>,
    hostname_file: Option<Spanned<String>>,
}

/// A mistake: its key, where it is, what is wrong.
type Mistake = (&'static str, Range<usize>, String);

/// Paths are relative to `folder`.
pub(super) fn checked(raw: Spanned<RawFront>, folder: &Path) -> Result<FrontConfig, Mistake> {
    let table = raw.span();
    let raw = raw.into_inner();
    match raw.r#type.as_ref().map_or("onion", |kind| kind.get_ref()) {
        "onion" => {
            let keys = [
                ("path", raw.path),
                ("mode", raw.mode),
                ("onion", raw.onion),
                ("hostname_file", raw.hostname_file),
            ];
            match keys.into_iter().find_map(|(key, value)| Some((key, value?.span()))) {
                Some((key, span)) => Err((key, span, "is for the type \"unix\"".to_owned())),
                None => Ok(FrontConfig::Onion),
            }
        }
        "unix" => Ok(FrontConfig::Unix(UnixFront {
            mode: raw.mode.map_or(Ok(DEFAULT_MODE), |text| mode(&text))?,
            onion: onion(raw.onion, raw.hostname_file, &table, folder)?,
            path: match raw.path {
                Some(path) if !path.get_ref().is_empty() => folder.join(path.into_inner()),
                _ => {
                    let what = "where the socket is to be, as in torrc after `unix:`";
                    return Err(("path", table, what.to_owned()));
                }
            },
        })),
        _ => {
            let span = raw.r#type.map_or(table, |kind| kind.span());
            Err(("type", span, "\"onion\" or \"unix\"".to_owned()))
        }
    }
}

/// Permissions as `chmod` takes them.
fn mode(text: &Spanned<String>) -> Result<u32, Mistake> {
    let digits = text.get_ref();
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o777).ok_or_else(|| {
        ("mode", text.span(), "permissions in octal digits, such as \"0660\"".to_owned())
    })
}

fn onion(
    onion: Option<Spanned<String>>,
    hostname_file: Option<Spanned<String>>,
    table: &Range<usize>,
    folder: &Path,
) -> Result<OnionAddress, Mistake> {
    match (onion, hostname_file) {
        (Some(onion), None) => {
            let read = onion.get_ref().parse();
            read.map_err(|error: EndpointError| ("onion", onion.span(), error.to_string()))
        }
        (None, Some(file)) => {
            let path = folder.join(file.get_ref());
            let wrong = |what: String| {
                ("hostname_file", file.span(), format!("{}: {what}", path.display()))
            };
            let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            text.parse().map_err(|error: EndpointError| wrong(error.to_string()))
        }
        (Some(_), Some(file)) => {
            let what = "the address is given by `onion` already".to_owned();
            Err(("hostname_file", file.span(), what))
        }
        (None, None) => {
            let what = "the address of the service, or `hostname_file`, where tor writes it";
            Err(("onion", table.clone(), what.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    fn parse(folder: &Path, text: &str) -> Result<FrontConfig, String> {
        Config::parse(text, folder).map(|config| config.front)
    }

    #[test]
    fn the_address_is_given_or_read_from_the_file_of_tor() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hostname"), format!("{ONION}\n")).unwrap();
        let unix = |mode| {
            let (path, onion) = (folder.path().join("in.sock"), ONION.parse().unwrap());
            Ok(FrontConfig::Unix(UnixFront { path, mode, onion }))
        };
        let head = "[front]\ntype = \"unix\"\npath = \"in.sock\"\n";
        for (text, expected) in [
            (String::new(), Ok(FrontConfig::Onion)),
            ("[front]\n".to_owned(), Ok(FrontConfig::Onion)),
            ("[front]\ntype = \"onion\"\n".to_owned(), Ok(FrontConfig::Onion)),
            (format!("{head}onion = \"{ONION}\"\n"), unix(0o660)),
            (format!("{head}hostname_file = \"hostname\"\nmode = \"600\"\n"), unix(0o600)),
        ] {
            assert_eq!(parse(folder.path(), &text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_name_line_and_key_and_what_is_wrong_with_an_address() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hostname"), "example.com\n").unwrap();
        let head = "[front]\ntype = \"unix\"\npath = \"in.sock\"\n";
        let onion = |onion: &str| format!("{head}onion = \"{onion}\"\n");
        let given = format!("onion = \"{ONION}\"\n");
        // Right but for its version, which the checksum covers.
        let version_2 = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wic.onion";
        for (text, line, key, what) in [
            (onion("expyuzz4wqqyqhjn.onion"), 4, "onion", "has 16"),
            (onion(&ONION.replacen('z', "y", 1)), 4, "onion", "checksum"),
            (onion(version_2), 4, "onion", "version 2"),
            (onion("example.com"), 4, "onion", "ends in `.onion`"),
            (format!("{head}hostname_file = \"hostname\""), 4, "hostname_file", "ends in `.onion`"),
            (format!("{head}hostname_file = \"nowhere\""), 4, "hostname_file", "No such file"),
            (format!("{head}{given}hostname_file = \"hostname\""), 5, "hostname_file", "already"),
            (head.to_owned(), 1, "onion", "`hostname_file`"),
            (format!("[front]\n{given}"), 2, "onion", "\"unix\""),
            (format!("[front]\ntype = \"unix\"\n{given}"), 1, "path", "torrc"),
            (format!("{head}{given}mode = \"0999\""), 5, "mode", "octal"),
            (format!("{head}{given}mode = \"1777\""), 5, "mode", "octal"),
            (format!("{head}{given}owner = \"tor\""), 5, "owner", "unknown field"),
            (format!("[tor.channel]\npadding = \"none\"\n{head}{given}"), 1, "tor", "torrc"),
        ] {
            let error = parse(folder.path(), &text).unwrap_err();
            let (line, key) = (format!("line {line}"), format!("`{key}`"));
            let all = error.contains(&line) && error.contains(&key) && error.contains(what);
            assert!(all, "{text}\n→ {error}");
        }
    }
}
