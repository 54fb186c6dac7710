//! What a program does that needs consent, as its system calls tell.

use std::{path::Path, process::Command};

/// What makes sockets, threads and processes, and files.
const CALLS: &str =
    "trace=socket,socketpair,clone,clone3,fork,vfork,open,openat,creat,mkdir,mkdirat";

/// What a program did that needs consent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) sockets: usize,
    pub(crate) threads: usize,
    pub(crate) files: usize,
}

/// The same program, traced into a file, in an environment that switches nothing off.
pub(crate) fn traced(trace: &Path, program: &Command) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-e", CALLS, "-e", "signal=none", "-o"]).arg(trace);
    command.arg("--").arg(program.get_program());
    command.env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_OFF");
    command
}

/// What stands in a trace.
pub(crate) fn done(trace: &str) -> Done {
    let mut done = Done::default();
    for line in trace.lines() {
        // A process ID, then the call.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap_or_default();
        match name {
            "socket" | "socketpair" => done.sockets += 1,
            "clone" | "clone3" | "fork" | "vfork" => done.threads += 1,
            "creat" | "mkdir" | "mkdirat" => done.files += 1,
            _ if call.contains("O_CREAT") => done.files += 1,
            _ => {}
        }
    }
    done
}
