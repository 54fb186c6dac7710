//! A machine with the standalone agent on it: a folder with its configuration, and its process.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    folder::Folder,
    process::{Process, Signal},
    programs,
    tor_network::as_tor_table,
};

use crate::{fixtures::ARRIVAL, host::members};

/// It promises to end within 10 s; a loaded machine takes a while to run it.
const ENDING: Duration = Duration::from_secs(15);
/// How long a reload may take that waits for a drain.
const RELOAD: Duration = Duration::from_secs(60);

pub(super) struct Machine {
    folder: Folder,
    tor: String,
    ingest: String,
    process: Option<Process>,
    /// How much of the log is of earlier runs, in bytes.
    said_before: usize,
}

/// What the proxy must admit, printed by the agent itself.
pub(super) fn schema() -> Result<String> {
    let folder = Folder::new("schema")?;
    let file = folder.join("undertone.toml");
    fs::write(&file, "")?;
    let output = agent()?.arg("--config").arg(file).args(["schema", "export"]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The program, with nothing in its environment that would keep it from working.
fn agent() -> Result<Command> {
    let mut command = programs::binary("undertone")?;
    command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_OFF").env_remove("UNDERTONE_LOG");
    Ok(command)
}

impl Machine {
    /// On the network of this arti configuration.
    pub(super) fn new(tor: &str, ingest: &str) -> Result<Self> {
        let folder = Folder::new("machine")?;
        let (tor, ingest) = (tor.to_owned(), ingest.to_owned());
        Ok(Self { folder, tor, ingest, process: None, said_before: 0 })
    }

    /// Writes its configuration, with these lines in it; those that say the same as the rest win.
    pub(super) fn configure(&self, lines: &str) -> Result<()> {
        let mut text = String::new();
        for (key, value) in [
            ("consent", "\"granted\""),
            ("ingest", &format!("{:?}", self.ingest)),
            ("data_dir", "\"data\""),
            ("push_every_seconds", "0.5"),
        ] {
            if !lines.contains(&format!("{key} =")) {
                writeln!(text, "{key} = {value}")?;
            }
        }
        writeln!(text, "{lines}")?;
        if !lines.contains("collect") {
            text += "[host]\ninterval_seconds = 1\ncollect = [\"system\", \"memory\"]\n";
        }
        text += "[[listener]]\nunix = \"write.sock\"\n";
        if !lines.contains("transport =") {
            text += &as_tor_table(&self.tor);
        }
        Ok(fs::write(self.folder.join("undertone.toml"), text)?)
    }

    /// Puts a file beside its configuration.
    pub(super) fn put(&self, name: &str, content: &str) -> Result<()> {
        Ok(fs::write(self.folder.join(name), content)?)
    }

    /// Whether such a file or folder is beside its configuration.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// Starts the agent, and waits until it listens.
    pub(super) fn start(&mut self) -> Result<()> {
        let mut command = agent()?;
        command.arg("--config").arg(self.folder.join("undertone.toml")).arg("run");
        let process = Process::spawn("undertone", self.folder.path(), command)?;
        self.process = Some(process);
        self.wait_for("listening on the unix socket")
    }

    /// Waits until this run of it says this.
    pub(super) fn wait_for(&mut self, text: &str) -> Result<()> {
        let (process, before) = (self.process.as_mut(), self.said_before);
        let process = process.context("it isn't running")?;
        let said = |log: &str| log.get(before..)?.contains(text).then_some(());
        process.wait_for(text, ARRIVAL, said)
    }

    /// Has it read its configuration again, and waits until it says this once more than before.
    pub(super) fn reload(&mut self, text: &str) -> Result<()> {
        let process = self.process.as_mut().context("it isn't running")?;
        let before = process.log().matches(text).count();
        process.signal(Signal::HUP)?;
        let said = |log: &str| (log.matches(text).count() > before).then_some(());
        process.wait_for(text, RELOAD, said)
    }

    /// Sends it a signal.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("it isn't running")?.signal(signal)
    }

    /// Ends it in order; nothing of it may be left. Returns what this run of it has said.
    pub(super) fn stop(&mut self, signal: Signal) -> Result<String> {
        self.ends_with(signal, 0)
    }

    /// Sends a signal, upon which it must end with this code and leave nothing.
    pub(super) fn ends_with(&mut self, signal: Signal, code: i32) -> Result<String> {
        self.signal(signal)?;
        self.ends(code)
    }

    /// It must end by itself with this code and leave nothing. Returns what this run of it has said.
    pub(super) fn ends(&mut self, code: i32) -> Result<String> {
        let mut process = self.process.take().context("it isn't running")?;
        let status = process.wait(ENDING)?;
        ensure!(status.code() == Some(code), "{status}\n{}", process.log());
        ensure!(members(process.pid())? == 0, "a process stayed");
        ensure!(!self.socket().exists(), "its socket stayed");
        let log = process.log();
        let said = log.get(self.said_before..).unwrap_or_default().to_owned();
        self.said_before = log.len();
        Ok(said)
    }

    /// What it has said so far.
    pub(super) fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Exit code and standard output of one of its commands.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let (code, bytes) = self.bytes(arguments)?;
        Ok((code, String::from_utf8(bytes)?))
    }

    /// The same where that is no text.
    pub(super) fn bytes(&self, arguments: &[&str]) -> Result<(i32, Vec<u8>)> {
        let mut command = agent()?;
        command.arg("--config").arg(self.folder.join("undertone.toml")).args(arguments);
        let output = command.output()?;
        let code = output.status.code().context("it was killed")?;
        Ok((code, output.stdout))
    }

    /// Its data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Something in the folder of its configuration.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Exit code and output of one of its commands on a terminal, where this is typed.
    pub(super) fn typed(&self, arguments: &str, typed: &str) -> Result<(i32, String)> {
        let program = agent()?.get_program().to_string_lossy().into_owned();
        let config = self.folder.join("undertone.toml");
        let line = format!("{program} --config {} {arguments}", config.display());
        let mut command = Command::new("script");
        // `--return` has the exit code of what it runs.
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_OFF");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("its input")?.write_all(typed.as_bytes())?;
        let output = child.wait_with_output()?;
        let code = output.status.code().context("it was killed")?;
        Ok((code, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Writes line protocol to it, as a program on this machine does.
    pub(super) fn write(&self, line: &str) -> Result<()> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--unix-socket"])
            .arg(self.socket())
            .args([
                "--data-binary",
                line,
                "http://localhost/api/v2/write?org=o&bucket=b&precision=ns",
            ])
            .output()
            .context("run curl")?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// It listens on its unix socket, which its user alone can open, and nowhere else; all its connections stay on
    /// loopback.
    pub(super) fn is_alone_on_its_socket(&self) -> Result<()> {
        let process = self.process.as_ref().context("it isn't running")?;
        let inodes = sockets(process.pid())?;
        let mut listening = Vec::new();
        for table in ["tcp", "tcp6", "udp", "udp6"] {
            for row in rows(table)?.iter().filter(|row| inodes.contains(row[9].as_str())) {
                let (remote, state) = (row[2].as_str(), row[3].as_str());
                match (table, state) {
                    ("tcp" | "tcp6", "0A") => listening.push(row[1].clone()),
                    ("tcp", _) => ensure!(remote.starts_with("0100007F:"), "connected to {remote}"),
                    _ => anyhow::bail!("a socket in {table}: {row:?}"),
                }
            }
        }
        ensure!(listening.is_empty(), "it listens on {listening:?}");
        // A socket that listens has the flag SO_ACCEPTCON.
        let unix: Vec<String> = rows("unix")?
            .into_iter()
            .filter(|row| row[3] == "00010000" && inodes.contains(row[6].as_str()))
            .map(|row| row.get(7).cloned().unwrap_or_default())
            .collect();
        ensure!(unix == [self.socket().display().to_string()], "it listens on {unix:?}");
        let mode = fs::metadata(self.socket())?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "its socket has mode {mode:o}");
        Ok(())
    }

    /// The ports on loopback that it is connected to.
    pub(super) fn connected_to(&self) -> Result<Vec<u16>> {
        let process = self.process.as_ref().context("it isn't running")?;
        let inodes = sockets(process.pid())?;
        let rows = rows("tcp")?.into_iter().filter(|row| inodes.contains(row[9].as_str()));
        rows.map(|row| {
            let port = row[2].strip_prefix("0100007F:").with_context(|| format!("{row:?}"))?;
            Ok(u16::from_str_radix(port, 16)?)
        })
        .collect()
    }

    /// Where other programs may write to it.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("write.sock")
    }
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> Result<BTreeSet<String>> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that was closed meanwhile is none.
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let target = target.display().to_string();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.map(str::to_owned));
    }
    ensure!(!inodes.is_empty(), "process {pid} has no socket at all");
    Ok(inodes)
}

/// A table of /proc/net, without its head.
fn rows(table: &str) -> Result<Vec<Vec<String>>> {
    let text = fs::read_to_string(format!("/proc/net/{table}"))?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    Ok(text.lines().skip(1).map(words).collect())
}
