//! Programs that tests start: in a process group of their own, their output in files, and gone when
//! dropped.
//!
//! Waiting is for what the output says, with a deadline, and ends early when the program does. Errors
//! quote the last lines of the output, since the files are gone by the time somebody reads them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
pub use rustix::process::Signal;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::{janitor, wait};

const QUOTED_LINES: usize = 25;

/// A running program. Dropping it kills its whole process group and reaps it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the command with `NAME.out` and `NAME.err` in the folder as its output. When they
    /// exist they are continued, so that a program started again adds to its log.
    pub fn spawn(name: &str, folder: &Path, command: Command) -> Result<Self> {
        Self::spawn_with_input(name, folder, command, Stdio::null())
    }

    /// The same with something on its standard input.
    pub fn spawn_with_input(
        name: &str,
        folder: &Path,
        mut command: Command,
        input: impl Into<Stdio>,
    ) -> Result<Self> {
        let [stdout, stderr] = ["out", "err"].map(|end| folder.join(format!("{name}.{end}")));
        let open = |path: &Path| {
            let options = File::options().create(true).append(true).open(path);
            options.with_context(|| format!("opening {path:?}"))
        };
        command.stdin(input).stdout(open(&stdout)?).stderr(open(&stderr)?);
        let child = janitor::mark(&mut command)?
            .spawn()
            .with_context(|| format!("starting {name} ({:?})", command.get_program()))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr, status: None })
    }

    /// Its process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Standard output, then standard error.
    pub fn log(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Waits until `find` finds something in [`log`](Self::log).
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let waited = wait::until(what, timeout, || {
            // In this order: what it said last before it ended counts.
            let status = self.try_wait()?;
            match (find(&self.log()), status) {
                (None, Some(status)) => Err(anyhow!("it ended ({status}) before {what}")),
                (found, _) => Ok(found),
            }
        });
        waited.map_err(|error| self.explain(error))
    }

    /// Whether it still runs (or is paused).
    pub fn is_running(&mut self) -> bool {
        matches!(self.try_wait(), Ok(None))
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let waited = wait::until("its end", timeout, || self.try_wait());
        waited.map_err(|error| self.explain(error))
    }

    /// SIGTERM to the process alone, and SIGKILL to its group after `timeout`, which is an error.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let waited = self.wait(timeout);
        if waited.is_err() {
            self.kill()?;
        }
        waited
    }

    /// SIGKILL to the whole group.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Before reaping, as long as the id can belong to nobody else.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let status = self.child.wait().with_context(|| format!("reaping {}", self.name))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Sends a signal to the process alone; an error if it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.try_wait()? {
            return Err(self.explain(anyhow!("it has ended ({status})")));
        }
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// Stops it as if its machine slept; connections stay open.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Continues after [`pause`](Self::pause).
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The memory that it holds now, in bytes (VmRSS).
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
        Ok(kilobytes.trim().parse::<u64>()? * 1024)
    }

    /// Adds who it is and the last lines of its output to an error.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n  ");
        anyhow!("{}: {error:#}\n  {last}", self.name)
    }

    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            // Looked at without reaping, so that `kill` still knows the group to be ours.
            if waitid(WaitId::Pid(Pid::from_child(&self.child)), options)?.is_some() {
                self.kill()?;
            }
        }
        Ok(self.status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> (Folder, Process) {
        let folder = Folder::new("process").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::spawn("shell", folder.path(), command).unwrap();
        (folder, process)
    }

    fn ready(log: &str) -> Option<()> {
        log.contains("ready").then_some(())
    }

    #[test]
    fn output_and_end() {
        let (_folder, mut process) = shell("echo ready; echo oops >&2; exit 3");
        process.wait_for("ready", SOON, ready).unwrap();
        assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
        assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("ready\n", "oops\n"));
        assert!(!process.is_running());
        assert!(process.signal(Signal::HUP).is_err());
    }

    #[test]
    fn an_early_end_is_told_with_the_log() {
        let (_folder, mut process) = shell("echo no luck; exit 1");
        let error = process.wait_for("ready", SOON * 60, ready).unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains("exit status: 1"), "{error}");
    }

    #[test]
    fn terminate_is_bounded() {
        let (_folder, mut process) =
            shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_for("ready", SOON, ready).unwrap();
        assert_eq!(process.terminate(SOON).unwrap().code(), Some(7));

        let (_folder, mut process) =
            shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_for("ready", SOON, ready).unwrap();
        assert!(process.terminate(Duration::from_millis(100)).is_err());
        assert!(!process.is_running());
    }

    #[test]
    fn pause_memory_and_drop() {
        let (_folder, mut process) = shell("sleep 1000 & echo $!; echo ready; wait");
        process.wait_for("ready", SOON, ready).unwrap();
        assert!(process.resident_bytes().unwrap() > 100_000);

        let state = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next())
        };
        let reaches = |pid: u32, wanted: Option<char>| {
            wait::until(&format!("{wanted:?}"), SOON, || Ok((state(pid) == wanted).then_some(())))
        };
        process.pause().unwrap();
        reaches(process.pid(), Some('T')).unwrap();
        assert!(process.is_running());
        process.resume().unwrap();
        reaches(process.pid(), Some('S')).unwrap();

        let grandchild: u32 = process.stdout().lines().next().unwrap().parse().unwrap();
        let pid = process.pid();
        drop(process);
        assert_eq!(state(pid), None);
        // Its new parent reaps it in its own time: a zombie is as good as gone.
        wait::until("the grandchild's end", SOON, || {
            Ok(matches!(state(grandchild), None | Some('Z')).then_some(()))
        })
        .unwrap();
    }
}
