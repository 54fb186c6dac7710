//! What another configuration changes. Pure.

use crate::config::{AgentConfig, Config};

/// What must be done so that a running agent does what another configuration says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The keys for whose sake another agent is needed, and with it another session.
    pub(crate) new_agent: Vec<&'static str>,
    /// Whether inputs must be started again.
    pub(crate) inputs: bool,
}

/// From one to the other.
pub(crate) fn changes(old: &Config, new: &Config) -> Changes {
    let AgentConfig { ingest, transport, client_keys, data_dir, ledger, namespace, push_every } =
        &new.agent;
    let differing = [
        ("ingest", old.agent.ingest != *ingest),
        ("transport or [tor]", old.agent.transport != *transport),
        ("client_keys", old.agent.client_keys != *client_keys),
        ("data_dir", old.agent.data_dir != *data_dir),
        ("ledger", old.agent.ledger != *ledger),
        ("namespace", old.agent.namespace != *namespace),
        ("push_every_seconds", old.agent.push_every != *push_every),
    ];
    let new_agent = differing.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key);
    Changes {
        new_agent: new_agent.collect(),
        inputs: (&old.alias, &old.host, &old.listeners) != (&new.alias, &new.host, &new.listeners),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn config(folder: &Path, text: &str) -> Config {
        let file = folder.join("undertone.toml");
        fs::write(&file, text).unwrap();
        Config::load(&file).unwrap()
    }

    #[test]
    fn only_what_an_agent_is_made_of_needs_another() {
        let folder = tempfile::tempdir().unwrap();
        let old = config(folder.path(), "");
        for (text, new_agent, inputs) in [
            ("", &[][..], false),
            ("consent = \"denied\"", &[], false),
            ("[log]\nlevel = \"debug\"", &[], false),
            ("alias = \"attic\"", &[], true),
            ("[host]\ninterval_seconds = 5", &[], true),
            ("[[listener]]\nunix = \"write.sock\"", &[], true),
            ("[[listener]]\nunix = \"write.sock\"\nmode = \"0660\"", &[], true),
            ("[tor.channel]\npadding = \"none\"", &["transport or [tor]"], false),
            ("transport = \"socks5://127.0.0.1:9050\"", &["transport or [tor]"], false),
            ("client_keys = \"keys\"", &["client_keys"], false),
            ("data_dir = \"data\"\nnamespace = \"other\"", &["data_dir", "namespace"], false),
            ("ledger = \"memory\"", &["ledger"], false),
            ("push_every_seconds = 5\nalias = \"attic\"", &["push_every_seconds"], true),
        ] {
            let found = changes(&old, &config(folder.path(), text));
            assert_eq!(found, Changes { new_agent: new_agent.to_vec(), inputs }, "{text}");
        }
    }
}
