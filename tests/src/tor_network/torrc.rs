//! The configuration of each node, as text. Pure.
//!
//! Nothing leaves loopback: a socket bound to 127.0.0.1 can't connect elsewhere (the kernel refuses),
//! and the resolver of relays is told of a name server that isn't there.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::{Node, Role};

pub(super) const RESOLVER_FILE: &str = "resolv.conf";
pub(super) const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// Beyond this, nodes that missed the first consensus can't be waited for.
const LONG_INTERVAL: Duration = Duration::from_secs(60);

/// What all programs of the network share, clients included.
fn common(data: &Path, nickname: &str, authorities: &[String]) -> String {
    let data = data.display();
    let mut text = format!(
        "TestingTorNetwork 1\nDataDirectory {data}\nNickname {nickname}\nLog notice stdout\n\
         RunAsDaemon 0\nNumCPUs 1\nDisableDebuggerAttachment 0\nPathsNeededToBuildCircuits 0.67\n\
         OutboundBindAddress 127.0.0.1\nConfluxEnabled 0\n"
    );
    for line in authorities {
        let _ = writeln!(text, "{line}");
    }
    text
}

pub(super) fn client(data: &Path, port: u16, authorities: &[String], extra: &[&str]) -> String {
    let mut text = common(data, "client", authorities);
    let _ = writeln!(text, "ClientOnly 1\nSocksPort 127.0.0.1:{port}");
    for line in extra {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// An onion service without a network, hence one that nobody reaches.
pub(super) fn hidden(data: &Path, service: &Path) -> String {
    format!(
        "DataDirectory {}\nHiddenServiceDir {}\nHiddenServicePort 80\nDisableNetwork 1\nSocksPort 0\n\
         Log notice stdout\nRunAsDaemon 0\n",
        data.display(),
        service.display()
    )
}

/// Enough to make the keys of a node and to print their fingerprints.
pub(super) fn minimal(node: &Node) -> String {
    let dummy = format!(
        "DirAuthority dummy orport=1 no-v2 v3ident={zeros} 127.0.0.1:1 {ones}",
        zeros = "0".repeat(40),
        ones = "1".repeat(40)
    );
    common(&node.data, &node.name, &[dummy]) + &addresses(node)
}

pub(super) fn node(node: &Node, authorities: &[String], interval: Duration) -> String {
    let mut text = common(&node.data, &node.name, authorities) + &addresses(node);
    let (dir, control, seconds) = (node.dir_port, node.control_port, interval.as_secs());
    // Where the next consensus comes much later, the first one must list every node already.
    let initial = if interval > LONG_INTERVAL { 20 } else { 5 };
    let _ = write!(
        text,
        "DirPort 127.0.0.1:{dir}\nControlPort 127.0.0.1:{control}\nCookieAuthentication 1\n\
         SocksPort 0\nContactInfo nobody@127.0.0.1\n\
         TestingDirAuthVoteExit *\nTestingDirAuthVoteHSDir *\nTestingDirAuthVoteGuard *\n\
         V3AuthNIntervalsValid 2\nTestingMinExitFlagThreshold 0\n\
         ServerDNSResolvConfFile {}\nServerDNSDetectHijacking 0\nServerDNSTestAddresses\n",
        node.data.join(RESOLVER_FILE).display()
    );
    let _ = match node.role {
        Role::Authority => write!(
            text,
            "AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\n\
             TestingV3AuthInitialVotingInterval {initial}\nTestingV3AuthInitialVoteDelay 2\n\
             TestingV3AuthInitialDistDelay 2\nV3AuthVotingInterval {seconds}\nV3AuthVoteDelay 2\n\
             V3AuthDistDelay 2\nExitPolicy reject *:*\n"
        ),
        Role::Relay => writeln!(text, "ExitPolicy reject *:*"),
        // Clients see a summary of the policy that leaves loopback out, hence not 127.0.0.0/8 alone:
        // what keeps it from the outer world is the address that it binds.
        Role::Exit => {
            writeln!(text, "ExitRelay 1\nExitPolicyRejectPrivate 0\nExitPolicy accept *:*")
        }
    };
    text
}

fn addresses(node: &Node) -> String {
    format!("Address 127.0.0.1\nAssumeReachable 1\nORPort 127.0.0.1:{}\n", node.or_port)
}
