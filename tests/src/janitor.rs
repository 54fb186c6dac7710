//! Leaves nothing behind: no process and no file, however the test process ends.
//!
//! One tiny shell a test process waits at a pipe whose only write end this process holds. When the
//! pipe ends (by exit, panic, Ctrl-C or SIGKILL alike) it kills whatever bears this run's mark in
//! its environment, grandchildren included, and removes the run's folder. There are no books to
//! keep, so that nothing is missed between a start and its entry, and no reused process id is hit.
//! The pipe is closed on exec, hence ends only after a child that is being started bears the mark.
//!
//! What it can't see: programs started without [`mark`], and those that clear their environment.
//! With `UNDERTONE_KEEP=1` the folder stays, to look into.

use std::fs::DirBuilder;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::wait;

/// The name of the environment variable that marks all that this run starts.
pub const MARK: &str = "UNDERTONE_TEST_RUN";

// The answer "ready" says that the signals are ignored from here on. `$1` is the mark, `$2` the
// folder ("" to keep it). Stopped processes end by SIGKILL too; a few rounds catch what is
// started meanwhile.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
echo ready
exec >/dev/null
while read -r line; do :; done
round=0
while [ $round -lt 100 ]; do
    found=$(grep -alF "$1" /proc/[0-9]*/environ 2>/dev/null)
    [ -n "$found" ] || break
    for file in $found; do
        pid=${file#/proc/}
        kill -KILL "${pid%/environ}" 2>/dev/null
    done
    round=$((round + 1))
    [ $round -lt 3 ] || sleep 0.1
done
[ -z "$2" ] || rm -rf "$2"
"#;

struct Janitor {
    mark: String,
    root: PathBuf,
    shell: Mutex<Option<Child>>,
}

/// Marks a command, so that what it starts ends with this process at the latest, and puts it in a
/// process group of its own, so that Ctrl-C reaches this process alone.
pub fn mark(command: &mut Command) -> Result<&mut Command> {
    let janitor = janitor()?;
    // A process that nobody may look into can't be found by its mark, but by root.
    command.env("UNDERTONE_PERMIT_DEBUGGING", "1");
    Ok(command.env(MARK, &janitor.mark).process_group(0))
}

/// The folder of this run, mode 0700. All that the harness writes lies in it.
pub fn root() -> Result<&'static Path> {
    Ok(&janitor()?.root)
}

/// Ends all that this run started, removes its folder and waits until that is done. The last thing
/// a program does; nothing can be started afterwards. Without it the same happens a moment after
/// the program's end.
pub fn dismiss() -> Result<()> {
    let mut place = janitor()?.shell.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut shell) = place.take() else { return Ok(()) };
    drop(shell.stdin.take());
    wait::until("the janitor to finish", Duration::from_secs(30), || Ok(shell.try_wait()?))?;
    Ok(())
}

fn janitor() -> Result<&'static Janitor> {
    static JANITOR: OnceLock<Result<Janitor, String>> = OnceLock::new();
    let janitor = JANITOR
        .get_or_init(|| Janitor::start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("starting the janitor: {error}"))?;
    if janitor.shell.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
        bail!("the janitor was dismissed: nothing can be started any more");
    }
    Ok(janitor)
}

impl Janitor {
    fn start() -> Result<Self> {
        // Two hashers keyed by the operating system: 64 unpredictable bits name folder and mark.
        let number = RandomState::new().hash_one(std::process::id());
        // Short, since the path of a unix socket may have no more than 107 bytes.
        let root = std::env::temp_dir().join(format!("undertone-{number:016x}"));
        let mark = format!("{number:016x}.{}", std::process::id());
        let keep = std::env::var_os("UNDERTONE_KEEP").is_some_and(|value| value == "1");

        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "undertone-janitor"])
            .arg(format!("{MARK}={mark}"))
            .arg(if keep { Path::new("") } else { &root })
            // A janitor inside another run's process must outlive that process.
            .env_remove(MARK)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("running sh")?;
        let mut ready = [0; 6];
        let mut answer = shell.stdout.take().context("its output")?;
        std::io::Read::read_exact(&mut answer, &mut ready).context("waiting for it")?;
        // Only now, so that there is no folder without a janitor.
        DirBuilder::new().mode(0o700).create(&root).with_context(|| format!("{root:?}"))?;
        if keep {
            writeln!(std::io::stderr(), "UNDERTONE_KEEP: what is written stays in {root:?}")?;
        }
        Ok(Self { mark, root, shell: Mutex::new(Some(shell)) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::programs;

    struct Held {
        holder: Child,
        output: BufReader<std::process::ChildStdout>,
        processes: Vec<u32>,
        folder: PathBuf,
    }

    impl Held {
        fn start() -> Self {
            let mut command = programs::binary("holder").unwrap();
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut holder = mark(&mut command).unwrap().spawn().unwrap();
            let mut output = BufReader::new(holder.stdout.take().unwrap());
            let line = line_with("held ", &mut output);
            let mut words = line.split(' ');
            let processes = words.by_ref().take(2).map(|pid| pid.parse().unwrap()).collect();
            let folder = PathBuf::from(words.next().unwrap());
            let held = Self { holder, output, processes, folder };
            assert!(held.processes.iter().all(|&pid| lives(pid)) && held.folder.exists());
            held
        }

        fn is_gone(&self) -> bool {
            let root = self.folder.parent().unwrap();
            !root.exists() && !self.processes.iter().any(|&pid| lives(pid))
        }

        fn wait_until_gone(&mut self) {
            self.holder.wait().unwrap();
            wait::until("all to be gone", Duration::from_secs(20), || {
                Ok(self.is_gone().then_some(()))
            })
            .unwrap();
        }
    }

    fn line_with(start: &str, output: &mut impl BufRead) -> String {
        let lines = output.lines().map(Result::unwrap);
        lines.into_iter().find_map(|line| Some(line.strip_prefix(start)?.to_owned())).unwrap()
    }

    fn lives(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie whose parent is slow is gone for our purpose.
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }

    #[test]
    fn nothing_stays_after_sigkill() {
        let mut held = Held::start();
        held.holder.kill().unwrap();
        held.wait_until_gone();
    }

    #[test]
    fn nothing_stays_after_a_panic() {
        let mut held = Held::start();
        drop(held.holder.stdin.take());
        held.wait_until_gone();
    }

    #[test]
    fn nothing_stays_after_ctrl_c() {
        let mut held = Held::start();
        let pid = rustix::process::Pid::from_child(&held.holder);
        rustix::process::kill_process_group(pid, rustix::process::Signal::INT).unwrap();
        held.wait_until_gone();
    }

    #[test]
    fn dismissing_waits_until_all_is_gone() {
        let mut held = Held::start();
        held.holder.stdin.as_mut().unwrap().write_all(b"dismiss\n").unwrap();
        line_with("dismissed", &mut held.output);
        assert!(held.is_gone());
        held.holder.kill().unwrap();
        held.holder.wait().unwrap();
    }
}
