//! Keys and fingerprints, made by `tor-gencert` and by tor itself.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Node, torrc};
use crate::{folder, janitor};

/// A command that runs tor with this configuration and no other.
pub(super) fn tor(torrc: &Path) -> Result<Command> {
    let defaults = torrc.with_file_name("torrc-defaults");
    std::fs::write(&defaults, "").with_context(|| format!("writing {defaults:?}"))?;
    let mut command = Command::new("tor");
    command.arg("-f").arg(torrc).arg("--defaults-torrc").arg(defaults);
    Ok(command)
}

/// Makes an authority's keys and returns its `DirAuthority` line and its v3 identity.
pub(super) fn authority(node: &Node) -> Result<(String, String)> {
    let keys = node.data.join("keys");
    folder::make(&keys)?;
    let certificate = keys.join("authority_certificate");
    let mut command = Command::new("tor-gencert");
    command.args(["--create-identity-key", "-m", "12", "--passphrase-fd", "0"]);
    command.arg("-a").arg(format!("127.0.0.1:{}", node.dir_port));
    command.arg("-i").arg(keys.join("authority_identity_key"));
    command.arg("-s").arg(keys.join("authority_signing_key"));
    command.arg("-c").arg(&certificate);
    run(command, b"passphrase\n")?;
    let text = std::fs::read_to_string(&certificate)?;
    let v3 = text.lines().find_map(|line| line.strip_prefix("fingerprint "));
    let v3 = v3.context("a certificate without a fingerprint")?.to_owned();

    let torrc = node.data.join("torrc");
    std::fs::write(&torrc, torrc::minimal(node))?;
    let mut command = tor(&torrc)?;
    command.args(["--list-fingerprint", "--quiet"]);
    run(command, b"")?;
    let line = format!(
        "DirAuthority {} orport={} no-v2 v3ident={v3} 127.0.0.1:{} {}",
        node.name,
        node.or_port,
        node.dir_port,
        node.rsa_identity()?
    );
    Ok((line, v3))
}

fn run(mut command: Command, input: &[u8]) -> Result<()> {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = janitor::mark(&mut command)?
        .spawn()
        .with_context(|| format!("starting {program:?} (tests/tools/install.sh installs it)"))?;
    // It may end without having read: its exit status says what matters.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{program:?}: {}\n{printed}{message}", output.status);
    Ok(())
}
