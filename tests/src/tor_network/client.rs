//! A C tor as a client of the network: a SOCKS port, and whatever else a torrc can say.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::node::percent;
use super::{TorNetwork, keys, torrc};
use crate::folder::Folder;
use crate::ports;
use crate::process::Process;

const BOOTSTRAP: Duration = Duration::from_secs(90);

/// A running tor that is bootstrapped.
#[derive(Debug)]
pub struct TorClient {
    /// The process, to be paused or asked for its log.
    pub process: Process,
    port: u16,
    folder: Folder,
}

impl TorClient {
    pub(super) fn start(network: &TorNetwork, extra: &[&str]) -> Result<Self> {
        let folder = Folder::new("tor-client")?;
        let port = ports::free()?;
        let torrc = folder.join("torrc");
        let text = torrc::client(&folder.join("data"), port, network.authority_lines(), extra);
        std::fs::write(&torrc, text)?;
        let start = Instant::now();
        let process = Process::spawn("tor", folder.path(), keys::tor(&torrc)?)?;
        let mut client = Self { process, port, folder };
        client.process.wait_for("Bootstrapped 100%", BOOTSTRAP, |log| {
            (percent(log) == 100).then(|| start.elapsed())
        })?;
        Ok(client)
    }

    /// The SOCKS port on 127.0.0.1.
    pub fn socks_port(&self) -> u16 {
        self.port
    }

    /// Its folder; `DataDirectory` is `data` in it, and there is room for a HiddenServiceDir.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
