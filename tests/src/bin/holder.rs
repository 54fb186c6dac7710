//! What the tests of the janitor run and kill: it holds a folder, a process, and a grandchild in a session
//! of its own, which no process group would find.
//!
//! It says what it holds and reads a line: at `dismiss` it cleans up and says so; at the end of its input it
//! panics, as a test does that fails.

use std::{io, process::Command, time::Duration};

use anyhow::{Context, Result};
use undertone_tests::{folder::Folder, janitor, process::Process};

fn main() -> Result<()> {
    let folder = Folder::new("held")?;
    let mut command = Command::new("sh");
    command.args(["-c", "setsid sleep 1000 & echo grandchild $!; exec sleep 1000"]);
    let mut process = Process::spawn("sleeper", folder.path(), command)?;
    let grandchild = process.wait_for("the grandchild", Duration::from_secs(10), |log| {
        Some(log.strip_prefix("grandchild ")?.strip_suffix('\n')?.to_owned())
    })?;
    let path = folder.path().to_str().context("a path in UTF-8")?;
    println!("held {} {grandchild} {path}", process.pid());
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if line == "dismiss\n" {
        janitor::dismiss()?;
        println!("dismissed");
        io::stdin().read_line(&mut line)?;
    }
    panic!("as asked");
}
