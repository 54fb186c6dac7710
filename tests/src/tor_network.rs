//! A private Tor network on loopback, of Debian's `tor`: three authorities, six relays, one exit.
//!
//! Fewer than six plain relays starve the vanguards of onion services. Every node is a directory
//! cache and of full weight, and nothing talks to any address but 127.0.0.1.

mod client;
mod consensus;
mod keys;
mod node;
mod torrc;

use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};

pub use client::TorClient;
pub use consensus::Consensus;
pub use node::{Node, Role};

use crate::folder::Folder;
use crate::process::Process;
use crate::wait;

const AUTHORITIES: usize = 3;
const EXITS: usize = 1;
const BOOTSTRAP: Duration = Duration::from_secs(120);
// As soon as there is a consensus, how often those that wait longer and longer for it are woken: first, and at the longest.
// Who is woken begins anew, which on a busy machine takes longer than the first pauses.
const NUDGE: Duration = Duration::from_millis(700);
const NUDGE_LONGEST: Duration = Duration::from_secs(8);

/// How a network is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Plain relays; 6 by default.
    pub relays: usize,
    /// Between two consensuses, once the network is up; 10 s by default. Tor wants at least 10 s, and
    /// a divisor of a day.
    pub voting_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { relays: 6, voting_interval: Duration::from_secs(10) }
    }
}

/// A running network. Dropping it kills all of it.
#[derive(Debug)]
pub struct TorNetwork {
    nodes: Vec<Node>,
    authority_lines: Vec<String>,
    v3_identities: Vec<String>,
    // Last: the nodes are gone before their folders.
    _folder: Folder,
}

impl TorNetwork {
    /// Starts a network and waits until it can be used.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default(), |_| {})
    }

    /// The one that all tests of this process share; started by the first that asks. It ends with the
    /// process, thanks to the janitor. Tests that pause or kill nodes start their own.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<TorNetwork, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow!("the shared Tor network: {error}"))
    }

    /// Starts a network; `progress` is told in a few words what is being waited for.
    pub fn start_with(options: Options, mut progress: impl FnMut(&str)) -> Result<Self> {
        let folder = Folder::new("tor")?;
        let roles = [
            (AUTHORITIES, "auth", Role::Authority),
            (options.relays, "relay", Role::Relay),
            (EXITS, "exit", Role::Exit),
        ];
        let mut nodes = Vec::new();
        for (count, name, role) in roles {
            for number in 1..=count {
                let name = format!("{name}{number}");
                let data = folder.join(&name);
                nodes.push(Node::new(name, role, data)?);
            }
        }

        progress("making the keys of the authorities");
        let authorities: Result<Vec<_>> = std::thread::scope(|scope| {
            let authorities = nodes.iter().filter(|node| node.role == Role::Authority);
            let threads: Vec<_> =
                authorities.map(|node| scope.spawn(|| keys::authority(node))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|made| made.map_err(|_| anyhow!("a thread panicked"))?).collect()
        });
        let (authority_lines, v3_identities) = authorities?.into_iter().unzip();

        let network = Self { nodes, authority_lines, v3_identities, _folder: folder };
        progress(&format!("starting {} Tor nodes", network.nodes.len()));
        for node in &network.nodes {
            let text = torrc::node(node, &network.authority_lines, options.voting_interval);
            std::fs::write(node.data.join("torrc"), text)?;
            std::fs::write(node.data.join(torrc::RESOLVER_FILE), torrc::RESOLVER)?;
            node.start()?;
        }
        network.wait_until_ready(&mut progress)?;
        Ok(network)
    }

    fn wait_until_ready(&self, progress: &mut impl FnMut(&str)) -> Result<()> {
        let mut told = None;
        let mut tell = |text: String| {
            if told.as_ref() != Some(&text) {
                progress(&text);
                told = Some(text);
            }
        };
        let (mut nudged, mut pause) = (Instant::now(), NUDGE);
        let ready = wait::until("the Tor network", BOOTSTRAP, || {
            let percents = self.nodes.iter().map(Node::bootstrapped);
            let percents = percents.collect::<Result<Vec<u8>>>()?;
            let nodes = self.nodes.iter().zip(&percents);
            let done = nodes.filter(|(node, percent)| **percent >= enough(node.role)).count();
            let listed = self.consensus().map_or(0, |consensus| {
                self.nodes.iter().filter(|node| consensus.has(&node.name, "Running")).count()
            });
            let all = self.nodes.len();
            tell(format!("Tor: {listed} of {all} nodes in the consensus, {done} bootstrapped"));
            if listed == all && nudged.elapsed() >= pause {
                nudged = Instant::now();
                pause = (pause * 5 / 4).min(NUDGE_LONGEST);
                let nodes = self.nodes.iter().zip(percents);
                let late = nodes.filter(|(node, percent)| *percent < enough(node.role));
                late.for_each(|(node, _)| node.nudge());
            }
            Ok((done == all && listed == all).then_some(()))
        });
        ready.map_err(|error| {
            let late = self.nodes.iter().find(|node| node.bootstrapped().is_ok_and(|p| p < 100));
            let late = late.unwrap_or(&self.nodes[0]);
            let explained =
                late.with(|process| Err::<(), _>(process.explain(anyhow!("{error:#}"))));
            explained.err().unwrap_or(error)
        })
    }

    /// All nodes: the authorities, the relays, the exit.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by its nickname (`auth1`…`auth3`, `relay1`…, `exit1`).
    pub fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.with_context(|| format!("there is no Tor node {name:?}"))
    }

    /// Stops a node as if its machine slept.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.node(name)?.pause()
    }

    /// Continues after [`pause`](Self::pause).
    pub fn resume(&self, name: &str) -> Result<()> {
        self.node(name)?.resume()
    }

    /// Kills a node.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.node(name)?.kill();
        Ok(())
    }

    /// Starts a node again that was killed, and waits until it is bootstrapped.
    pub fn start_again(&self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        node.kill();
        // What it said before must not count.
        std::fs::remove_file(node.data.join(format!("{name}.out"))).context("its old log")?;
        node.start()?;
        node.wait_until_bootstrapped(BOOTSTRAP)
    }

    /// The newest consensus of the first authority that answers.
    pub fn consensus(&self) -> Result<Consensus> {
        let authorities = self.nodes.iter().filter(|node| node.role == Role::Authority);
        let mut answers = authorities.map(|node| Consensus::fetch(node.dir_port));
        answers.find(Result::is_ok).context("no authority has a consensus")?
    }

    /// Fails unless the consensus is valid now and lists every node as running.
    pub fn check(&self) -> Result<()> {
        let consensus = self.consensus()?;
        let now = SystemTime::now();
        ensure!(consensus.valid_until > now, "the consensus is out of date: {consensus:?}");
        let missing = self.nodes.iter().find(|node| !consensus.has(&node.name, "Running"));
        ensure!(missing.is_none(), "{} is not in the consensus", missing.map_or("", |n| &n.name));
        Ok(())
    }

    /// Starts a C tor with a SOCKS port as a client of this network, with more lines for its torrc
    /// (`HiddenServiceDir …`, `IsolateSOCKSAuth` options, …), and waits until it is bootstrapped.
    pub fn socks_client(&self, torrc: &[&str]) -> Result<TorClient> {
        TorClient::start(self, torrc)
    }

    /// What arti needs to be a client or a service of this network. Without storage paths: add
    /// `storage.cache_dir` and `storage.state_dir` in a table `[storage]` of their own.
    pub fn arti_toml(&self) -> Result<String> {
        let v3_identities = &self.v3_identities;
        let mut text = format!(
            "[tor_network]\nauthorities = {{ v3idents = {v3_identities:?}, uploads = [], \
             downloads = [], votes = [] }}\nfallback_caches = [\n"
        );
        for node in &self.nodes {
            writeln!(
                text,
                r#"    {{ rsa_identity = "{}", ed_identity = "{}", orports = ["127.0.0.1:{}"] }},"#,
                node.rsa_identity()?,
                node.ed_identity()?,
                node.or_port
            )?;
        }
        text += "]\n";
        text += ARTI_REST;
        Ok(text)
    }

    fn authority_lines(&self) -> &[String] {
        &self.authority_lines
    }
}

/// What C tor makes of a HiddenServiceDir, be it empty or with a key in it: its `hostname`. Without network.
pub fn hostname(service: &Path) -> Result<String> {
    let folder = Folder::new("hostname")?;
    let torrc = folder.join("torrc");
    let text = torrc::hidden(&folder.join("data"), service);
    std::fs::write(&torrc, text)?;
    let mut process = Process::spawn("tor", folder.path(), keys::tor(&torrc)?)?;
    let file = service.join("hostname");
    let named = process.wait_for("a hostname", BOOTSTRAP, |_| {
        let text = std::fs::read_to_string(&file).ok()?;
        text.ends_with(".onion\n").then(|| text.trim().to_owned())
    });
    named.map_err(|error| process.explain(error))
}

/// From how many percent on a node does its work. The only exit may find no circuit that it wants to build itself, which
/// are the last few, and serves those of others all the same.
fn enough(role: Role) -> u8 {
    if role == Role::Exit { 95 } else { 100 }
}

/// arti's configuration as the table `[tor]` of another one: its tables become tables below that.
pub fn as_tor_table(arti_toml: &str) -> String {
    let lines = arti_toml.lines().map(|line| match line.strip_prefix('[') {
        Some(rest) => format!("[tor.{rest}\n"),
        None => format!("{line}\n"),
    });
    ["\n[tor]\n".to_owned()].into_iter().chain(lines).collect()
}

// All relays share 127.0.0.1: the rule against two of a subnet on one path is switched off.
const ARTI_REST: &str = r#"
[path_rules]
ipv4_subnet_family_prefix = 33
ipv6_subnet_family_prefix = 129
reachable_addrs = ["*:*"]

[address_filter]
allow_local_addrs = true

[override_net_params]
guard-min-filtered-sample-size = 5
guard-n-primary-guards = 1

[storage.permissions]
dangerously_trust_everyone = true
"#;

#[cfg(test)]
mod tests;
