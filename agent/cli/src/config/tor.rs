//! `[tor]`: arti's own configuration, checked by arti and handed on as it is.
//!
//! arti asks the system for users and groups meanwhile, which may open a socket to a name service: it
//! isn't asked as long as nothing may be done (invariant P1).

use std::path::Path;

use super::{
    error::ConfigError,
    section::Found,
    tree::{self, Table},
};

/// Reads the table; what is returned is arti's configuration in TOML, checked if that `may` be.
pub(super) fn read(tor: &Found<Table>, may: bool) -> Result<String, ConfigError> {
    let table = tree::to_toml(&tor.value);
    if !may {
        return Ok(table.to_string());
    }
    let Err(error) = check(&table) else { return Ok(table.to_string()) };
    let leaves = tree::leaves(&tor.value, "");
    // arti names a key that it doesn't have; for a wrong value it is the one without which all is well.
    let culprit = leaves.into_iter().find(|(key, _)| match &error {
        undertone_tor::ConfigurationError::UnknownKey(unknown) => {
            key == unknown || key.starts_with(&format!("{unknown}."))
        }
        _ => check(&without(&table, key)).is_ok(),
    });
    // arti's text may quote a value, which must not be what a variable says.
    let secret = tor.value.values().any(tree::Entry::is_from_environment);
    let reason = match (&error, secret) {
        (undertone_tor::ConfigurationError::UnknownKey(_), _) => {
            "arti has no such key; docs/agent.md names where its keys are listed".to_owned()
        }
        (_, true) => "arti refuses this; its reason isn't shown, since it might quote a variable \
                      of the environment"
            .to_owned(),
        (error, false) => format!("arti refuses this: {}", one_line(&error.to_string())),
    };
    Err(match culprit {
        Some((key, place)) => place.wrong(tree::join("tor", &key), reason),
        None => tor.wrong(reason),
    })
}

fn check(table: &toml::Table) -> Result<(), undertone_tor::ConfigurationError> {
    // These folders are only named here, and never made.
    let nowhere = Path::new("/nonexistent");
    undertone_tor::configuration(&[&table.to_string()], nowhere, nowhere).map(drop)
}

fn without(table: &toml::Table, key: &str) -> toml::Table {
    let mut table = table.clone();
    let mut at = &mut table;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.remove(part);
            break;
        }
        match at.get_mut(part) {
            Some(toml::Value::Table(inner)) => at = inner,
            _ => break,
        }
    }
    table
}

/// At most 200 characters, without line breaks.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(200).collect()
}
