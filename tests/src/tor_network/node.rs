//! One authority, relay or exit of the network: its place, ports, keys and process.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::keys;
use crate::process::{Process, Signal};
use crate::{folder, ports};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Votes on the consensus, and relays.
    Authority,
    /// Relays (guard, middle, directory of onion services), without exit.
    Relay,
    /// Relays and connects to 127.0.0.0/8.
    Exit,
}

/// A node. All is reached through `&self`, since a network is shared between tests.
#[derive(Debug)]
pub struct Node {
    /// Its nickname: `auth1`…, `relay1`…, `exit1`.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its DataDirectory, with keys, the `control_auth_cookie` and cached documents.
    pub data: PathBuf,
    /// Its ORPort.
    pub or_port: u16,
    /// Its DirPort.
    pub dir_port: u16,
    /// Its ControlPort, with cookie authentication.
    pub control_port: u16,
    process: Mutex<Option<Process>>,
}

impl Node {
    pub(super) fn new(name: String, role: Role, data: PathBuf) -> Result<Self> {
        folder::make(&data)?;
        let [or_port, dir_port, control_port] = [ports::free()?, ports::free()?, ports::free()?];
        let process = Mutex::new(None);
        Ok(Self { name, role, data, or_port, dir_port, control_port, process })
    }

    /// Starts it, also again after [`kill`](Self::kill), with the same keys and ports.
    pub fn start(&self) -> Result<()> {
        let process = Process::spawn(&self.name, &self.data, keys::tor(&self.data.join("torrc"))?)?;
        *self.lock() = Some(process);
        Ok(())
    }

    /// Stops it as if its machine slept.
    pub fn pause(&self) -> Result<()> {
        self.with(Process::pause)
    }

    /// Continues after [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.with(Process::resume)
    }

    /// Kills it in the middle of things.
    pub fn kill(&self) {
        *self.lock() = None;
    }

    /// What it logged so far, at notice; runs before a restart included.
    pub fn log(&self) -> String {
        self.lock().as_ref().map(Process::log).unwrap_or_default()
    }

    /// How far it is, in percent.
    pub fn bootstrapped(&self) -> Result<u8> {
        self.with(|process| {
            let percent = percent(&process.log());
            if percent < 100 && !process.is_running() {
                return Err(process.explain(anyhow::anyhow!("it ended at {percent} %")));
            }
            Ok(percent)
        })
    }

    /// Does something with its process.
    pub fn with<T>(&self, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        act(self.lock().as_mut().with_context(|| format!("{} does not run", self.name))?)
    }

    /// SIGHUP makes tor forget its growing delays and fetch at once what it misses.
    pub(super) fn nudge(&self) {
        let _ = self.with(|process| process.signal(Signal::HUP));
    }

    pub(super) fn wait_until_bootstrapped(&self, timeout: Duration) -> Result<()> {
        let what = format!("{} to be bootstrapped", self.name);
        crate::wait::until(&what, timeout, || Ok((self.bootstrapped()? == 100).then_some(())))
    }

    /// The fingerprint of its RSA identity, in hexadecimal.
    pub fn rsa_identity(&self) -> Result<String> {
        self.fingerprint("fingerprint")
    }

    /// Its Ed25519 identity, in base64.
    pub fn ed_identity(&self) -> Result<String> {
        self.fingerprint("fingerprint-ed25519")
    }

    /// Files of the form `NICKNAME FINGERPRINT`, written by tor at its start.
    fn fingerprint(&self, file: &str) -> Result<String> {
        let path = self.data.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        Ok(text.split_whitespace().nth(1).context("no fingerprint in it")?.to_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last `Bootstrapped N%` of a log; 0 without one.
pub(super) fn percent(log: &str) -> u8 {
    let number = |rest: &str| rest.split_once('%')?.0.parse().ok();
    log.rsplit("Bootstrapped ").find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn percent() {
        let log =
            "… Bootstrapped 5% (conn): Connecting\n… Bootstrapped 75% (enough): Loaded 9% x\n";
        assert_eq!(super::percent(log), 75);
        assert_eq!(super::percent("nothing yet"), 0);
    }
}
