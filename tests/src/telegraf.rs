//! A real Telegraf that writes once what is in a file. `tests/go/build-telegraf.sh` builds it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{folder::Folder, janitor, process::Process};

const BUILD_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go/build-telegraf.sh");
/// To read, write and end, on a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(120);

/// Writes these lines, whose times are in nanoseconds, to an output, which is given as it stands in Telegraf's
/// own configuration. Telegraf adds the machine's name as the tag `host`, as it does by default.
///
/// # Errors
/// If Telegraf can't be built, or says that it could not write all of them.
pub fn write_once(output: &str, lines: &str) -> Result<()> {
    let folder = Folder::new("telegraf")?;
    let (file, configuration) = (folder.join("lines"), folder.join("telegraf.conf"));
    fs::write(&file, lines)?;
    // Otherwise times would be rounded to whole seconds.
    let text = format!(
        "[agent]\nprecision = \"1ns\"\n[[inputs.file]]\nfiles = [{file:?}]\ndata_format = \"influx\"\n{output}\n"
    );
    fs::write(&configuration, text)?;
    let mut command = Command::new(program()?);
    command.arg("--once").arg("--config").arg(&configuration);
    let mut process = Process::spawn("telegraf", folder.path(), command)?;
    let status = process.wait(LIMIT)?;
    ensure!(status.success(), process.explain(anyhow!("{status}")));
    Ok(())
}

/// Built, unless it is there: some minutes, its progress on standard error. Looked for once a process.
fn program() -> Result<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    let mut command = Command::new(BUILD_SCRIPT);
    command.arg("outputs").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output =
        janitor::mark(&mut command)?.output().with_context(|| format!("running {BUILD_SCRIPT}"))?;
    ensure!(output.status.success(), "{BUILD_SCRIPT} failed; what it wrote says why");
    let path = String::from_utf8_lossy(&output.stdout);
    let path = path.lines().last().context("the build names no program")?;
    Ok(PathBuf::from(path))
}
