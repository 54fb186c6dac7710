//! The proxy under test: the real binary behind a unix socket, in a data folder of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use undertone_wire::endpoint::{DeploymentId, Ingest};

use super::parcels::{Answer, SCHEMA, Sealed};
use crate::{
    folder::{self, Folder},
    janitor, programs, wait,
};

/// The address that tor would have; nobody looks for it.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// How long anything may take, on a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(20);

/// A data folder and the configuration of who works on it.
#[derive(Debug)]
pub struct Subject {
    folder: Folder,
}

/// What is around the program.
#[derive(Debug, Clone)]
pub enum Around {
    /// Nothing.
    Nothing,
    /// strace, told this.
    Strace(Vec<String>),
    /// A preloaded library, told this by variables of the environment.
    Preload(Vec<(String, String)>),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with success.
    Well,
    /// By itself, with a failure.
    Badly,
    /// By a signal.
    Killed,
}

/// A process that runs, or has ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    socket: PathBuf,
    /// Whether it opened its files.
    pub opened: bool,
    errors: PathBuf,
}

impl Subject {
    /// One with an empty disk, or with a copy of another's.
    pub fn new(template: Option<&Path>) -> Result<Self> {
        let folder = Folder::new("crash")?;
        let configuration = format!(
            "data_dir = \"disk/data\"\nhealth = \"off\"\n\n[front]\ntype = \"unix\"\npath = \"s\"\n\
             onion = \"{ONION}\"\n\n[[sink]]\nname = \"store\"\ntype = \"embedded\"\n"
        );
        fs::write(folder.join("proxy.toml"), configuration)?;
        fs::write(folder.join("schema.toml"), SCHEMA)?;
        let subject = Self { folder };
        match template {
            Some(template) => copy(template, &subject.disk())?,
            None => folder::make(&subject.disk())?,
        }
        Ok(subject)
    }

    /// What parcels are sealed for.
    pub fn deployment() -> Result<DeploymentId> {
        Ok(ONION.parse::<Ingest>()?.deployment)
    }

    /// What loses its power: the data folder is in it.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// Something beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What strace wrote last.
    pub fn trace(&self) -> String {
        fs::read_to_string(self.beside("trace")).unwrap_or_default()
    }

    /// Starts the proxy, and waits until its files are open or it has ended.
    pub fn start(&self, around: Around) -> Result<Running> {
        let mut child = self.command(&["run"], around)?.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut line)?;
        let opened = line.contains(".onion");
        Ok(Running { child, socket: self.beside("s"), opened, errors: self.beside("errors") })
    }

    /// Runs a command of the proxy to its end: `schema add` takes the schema beside it. How it ended, and what
    /// it printed.
    pub fn run(&self, arguments: &[&str], around: Around) -> Result<(Ended, String)> {
        let mut command = self.command(arguments, around)?;
        if arguments.contains(&"add") {
            command.arg(self.beside("schema.toml"));
        }
        let output = command.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
        Ok((Ended::of(output.status), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// What it said on standard error since it was made.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.beside("errors")).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str], around: Around) -> Result<Command> {
        let program = programs::binary("undertone-ingest-proxy")?;
        let mut command = match around {
            Around::Nothing => Command::new(program.get_program()),
            Around::Strace(told) => {
                let mut command = Command::new("strace");
                // As a grandchild, so that the process is ours, and strace can leave it.
                command.args([
                    "-D",
                    "-I",
                    "1",
                    "-f",
                    "-q",
                    "-y",
                    "-s",
                    "0",
                    "-e",
                    "signal=none",
                    "-o",
                ]);
                command.arg(self.beside("trace")).args(told).arg("--").arg(program.get_program());
                command
            }
            Around::Preload(told) => {
                let mut command = Command::new(program.get_program());
                command.envs(told);
                command
            }
        };
        let errors = File::options().create(true).append(true).open(self.beside("errors"))?;
        command.arg("--config").arg(self.beside("proxy.toml")).args(arguments);
        command.stdin(Stdio::null()).stderr(errors);
        janitor::mark(&mut command)?;
        Ok(command)
    }
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        match (status.signal(), status.success()) {
            (Some(_), _) => Self::Killed,
            (None, true) => Self::Well,
            (None, false) => Self::Badly,
        }
    }
}

impl Running {
    /// Sends a parcel, and waits for the answer.
    pub fn send(&self, parcel: &Sealed) -> Result<Answer> {
        let exchange = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(LIMIT))?;
            let circuit = parcel.circuit;
            write!(stream, "PROXY TCP6 fc00:dead:beef:4dad::0:{circuit:x} ::1 {circuit} 80\r\n")?;
            let length = parcel.body.len();
            write!(
                stream,
                "POST /v1/batch HTTP/1.1\r\nhost: {ONION}\r\ncontent-length: {length}\r\n\r\n"
            )?;
            stream.write_all(&parcel.body)?;
            let mut answer = Vec::new();
            // Where it was killed the connection is reset.
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
            }
        };
        match exchange() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("no answer in {LIMIT:?}"),
            Err(_) => Ok(Answer::None),
            Ok(answer) if answer.starts_with("HTTP/1.1 204 ") => Ok(Answer::Taken),
            Ok(answer) if answer.starts_with("HTTP/1.1 503 ") => Ok(Answer::Undecided),
            Ok(answer) if answer.is_empty() => Ok(Answer::None),
            Ok(answer) => bail!("answered {answer:?}"),
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Has strace leave it, and waits until it has.
    pub fn untrace(&mut self) -> Result<()> {
        wait::until("strace to leave", LIMIT, || {
            let status =
                fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            let tracer = tracer.and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
            let Some(tracer) = tracer else { return Ok(Some(())) };
            let _ = kill_process(tracer, Signal::TERM);
            Ok(None)
        })
    }

    /// Ends it in order, if it hasn't ended, and waits.
    pub fn end(mut self) -> Result<Ended> {
        if self.is_alive()? {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        }
        let status = wait::until("the proxy's end", LIMIT, || Ok(self.child.try_wait()?));
        let status = status.inspect_err(|_| {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        })?;
        Ok(Ended::of(status))
    }

    /// Kills it now.
    pub fn kill(mut self) -> Result<()> {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.child.wait()?;
        Ok(())
    }

    /// What it said on standard error.
    pub fn errors(&self) -> String {
        let mut text = String::new();
        let _ = File::open(&self.errors).and_then(|mut file| file.read_to_string(&mut text));
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Copies a folder with what is in it, and its modes.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
