//! The commands that bring the onion service's identity in, and copy it out.

use std::{env, os::unix::ffi::OsStringExt, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use undertone_ingest_proxy::{
    Config,
    identity::{Identity, IdentityKey, Imported, Seeds, TORFLUXDB_VARIABLE, read, read_file},
};

const SOURCES: &str = "\
What can be imported, told apart by content:
  hs_ed25519_secret_key   of C tor's HiddenServiceDir
  TORFLUXDB_ONIONKEY      of TorfluxDB, with --env or in a file: 128 hexadecimal digits
  64 bytes                an expanded Ed25519 secret key
  ED25519-V3:…            as tor's control port writes it
Stop what had the address before: two services with one address take each other's agents.";

#[derive(Subcommand)]
pub(crate) enum KeyAction {
    /// Take over the address of a TorfluxDB or a C tor
    Import(Import),
    /// Write the key to a new file, which C tor can use as well; who has it can be this service
    Backup {
        /// The file, which must not exist
        file: PathBuf,
    },
    /// Bring a backup back, into a data folder that has no identity yet
    Restore {
        /// The file
        file: PathBuf,
    },
}

#[derive(Args)]
#[command(after_help = SOURCES)]
pub(crate) struct Import {
    /// The file with the key, which nobody else may have access to
    #[arg(required_unless_present = "env")]
    file: Option<PathBuf>,
    /// Take it from the environment variable TORFLUXDB_ONIONKEY
    #[arg(long, conflicts_with = "file")]
    env: bool,
    /// Take the place of another identity, which is kept in a file in the data folder
    #[arg(long)]
    replace: bool,
    /// The key is an Ed25519 seed: 32 bytes, or 64 with its public key
    #[arg(long)]
    seed: bool,
}

pub(crate) fn run(config: &Config, action: KeyAction) -> Result<()> {
    match action {
        KeyAction::Import(import) => {
            let key = import.key()?;
            done(config, &key, Identity::open(config)?.import(&key, import.replace)?)
        }
        KeyAction::Restore { file } => {
            let key = read_file(&file, Seeds::Refused)?;
            done(config, &key, Identity::open(config)?.import(&key, false)?)
        }
        KeyAction::Backup { file } => {
            let address = Identity::open(config)?.backup(&file)?;
            println!("{address}");
            Ok(())
        }
    }
}

impl Import {
    fn key(&self) -> Result<IdentityKey> {
        let seeds = if self.seed { Seeds::Expanded } else { Seeds::Refused };
        match &self.file {
            Some(file) => Ok(read_file(file, seeds)?),
            None => {
                let value = env::var_os(TORFLUXDB_VARIABLE).unwrap_or_default().into_vec();
                let value = zeroize::Zeroizing::new(value);
                ensure!(!value.is_empty(), "{TORFLUXDB_VARIABLE} is not set");
                read(&value, seeds).with_context(|| format!("read {TORFLUXDB_VARIABLE}"))
            }
        }
    }
}

/// Tells what was done, and nothing but the address of the key.
fn done(config: &Config, key: &IdentityKey, imported: Imported) -> Result<()> {
    match imported {
        Imported::New => {}
        Imported::Known => eprintln!("It was the identity already."),
        Imported::Replaced(file) => {
            eprintln!("The identity before is kept in {}", file.display());
        }
    }
    if config.deployment.is_none() {
        eprintln!(
            "Agents go on with what they were given; to new ones give what `address` prints."
        );
    }
    println!("{}", key.address());
    Ok(())
}
