//! What somebody needs to report to a proxy of the demo from elsewhere on this machine: files with its
//! address, its Tor network, and a standalone agent's configuration.

use std::{fmt, fs, path::PathBuf};

use anyhow::Result;

use crate::{folder::Folder, programs, proxy::Proxy, tor_network::as_tor_table};

/// A folder with `ingest`, `tor.toml` and `undertone.toml`, and the commands that use them.
#[derive(Debug)]
pub struct Trial {
    folder: Folder,
    proxy: PathBuf,
}

impl Trial {
    /// The files for this proxy, on the Tor network of this arti configuration. The proxy must admit
    /// the open schema `fleet`.
    pub fn of(proxy: &Proxy, arti_toml: &str) -> Result<Self> {
        let folder = Folder::new("trial")?;
        fs::write(folder.join("ingest"), proxy.ingest())?;
        fs::write(folder.join("tor.toml"), arti_toml)?;
        let agent = "# This machine, reported to the proxy of the demo.\nconsent = \"granted\"\n\
                     ingest_file = \"ingest\"\ndata_dir = \"data\"\nalias = \"this-machine\"\n\
                     push_every_seconds = 2\n\n[host]\ninterval_seconds = 2\n";
        fs::write(folder.join("undertone.toml"), agent.to_owned() + &as_tor_table(arti_toml))?;
        Ok(Self { folder, proxy: proxy.configuration() })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = |name| match programs::binary(name) {
            Ok(command) => command.get_program().to_string_lossy().into_owned(),
            Err(_) => name.to_owned(),
        };
        let file = |name| self.folder.join(name).display().to_string();
        writeln!(
            f,
            "  this machine:  {} --config {} run",
            program("undertone"),
            file("undertone.toml")
        )?;
        writeln!(
            f,
            "  a program:     … \"$(cat {})\" {}    as agent/examples/smallest.rs does",
            file("ingest"),
            file("tor.toml")
        )?;
        write!(
            f,
            "  its schema:    {} --config {} schema add FILE",
            program("undertone-ingest-proxy"),
            self.proxy.display()
        )
    }
}
