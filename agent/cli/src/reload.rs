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
    let AgentConfig { ingest, transport, data_dir, namespace, push_every } = &new.agent;
    let differing = [
        ("ingest", old.agent.ingest != *ingest),
        ("transport or [tor]", old.agent.transport != *transport),
        ("data_dir", old.agent.data_dir != *data_dir),
        ("namespace", old.agent.namespace != *namespace),
        ("push_every_seconds", old.agent.push_every != *push_every),
    ];
    let new_agent = differing.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key);
    Changes {
        new_agent: new_agent.collect(),
        inputs: (&old.alias, &old.host, &old.listeners) != (&new.alias, &new.host, &new.listeners),
    }
}
