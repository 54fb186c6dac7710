//! The commands that say who may find the onion service.

use std::io::{self, Write};

use anyhow::{Result, bail};
use clap::Subcommand;
use undertone_ingest_proxy::{ClientPublicKey, Clients, Config, FrontConfig};

#[derive(Subcommand)]
pub(crate) enum ClientAction {
    /// Let a client find the onion service; with the first one, nobody else can any more
    Add {
        /// A name of your choice: a-z, 0-9, - and _
        name: String,
        /// Its public key, as `undertone client-key new` prints it
        #[arg(value_name = "KEY")]
        key: ClientPublicKey,
    },
    /// Let a client no longer find it: it still reaches what it has found, for about a day
    Remove {
        /// Its name
        name: String,
        /// It is the last one, and everybody may find the service from now on
        #[arg(long)]
        open: bool,
    },
    /// Print who may find it
    List,
}

pub(crate) fn run(config: &Config, action: ClientAction) -> Result<()> {
    if config.front != FrontConfig::Onion {
        bail!(
            "the tor in front knows the clients: files NAME.auth in `authorized_clients` in its `HiddenServiceDir`"
        );
    }
    let folder = &config.data_dir;
    let restricted = config.discovery.restricted;
    match action {
        ClientAction::Add { name, key } => {
            match Clients::add(folder, &name, key)? {
                1 if restricted.is_none() => eprintln!(
                    "{name} is the first: within about a minute nobody else can find the service any more."
                ),
                count => eprintln!("{count} may find the service, {name} within about a minute."),
            }
            if restricted == Some(false) {
                eprintln!(
                    "But everybody may, as long as the configuration says `restricted = false`."
                );
            }
        }
        ClientAction::Remove { name, open } => match Clients::remove(folder, &name, open)? {
            None => eprintln!("Everybody may find the service within about a minute."),
            Some(count) => {
                let left = match count {
                    0 => "Nobody is left who may find the service.".to_owned(),
                    count => format!("{count} are left."),
                };
                eprintln!(
                    "{left} {name} can still reach the introduction points that it knows, until the last of them is \
                     replaced: that takes about a day. This keeps a client from finding the service; it is no revocation."
                );
            }
        },
        ClientAction::List => {
            let clients = Clients::load(folder)?;
            let mut out = io::stdout().lock();
            for (name, key) in clients.iter().flat_map(Clients::iter) {
                writeln!(out, "{name}\t{key}")?;
            }
            match (clients, restricted) {
                (_, Some(false)) | (None, None) => eprintln!("Everybody may find the service."),
                (clients, _) if clients.as_ref().is_none_or(Clients::is_empty) => {
                    eprintln!("Nobody may find the service.");
                }
                _ => {}
            }
        }
    }
    Ok(())
}
