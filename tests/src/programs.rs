//! The project's own programs, as cargo built them beside this one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A binary of the workspace.
///
/// # Errors
/// If it hasn't been built.
pub fn binary(name: &str) -> Result<Command> {
    built(target()?.join(name))
}

/// An example of the agent's library.
///
/// # Errors
/// If it hasn't been built.
pub fn example(name: &str) -> Result<Command> {
    built(target()?.join("examples").join(name))
}

/// The folder that cargo builds into: that of this program, or above it for a test; another one where
/// `UNDERTONE_PROGRAMS` names it.
fn target() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("UNDERTONE_PROGRAMS") {
        return Ok(folder.into());
    }
    let own = std::env::current_exe().context("find the running program")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

fn built(path: PathBuf) -> Result<Command> {
    ensure!(
        path.exists(),
        "{} is not built: run `cargo build --workspace --bins --examples`",
        path.display()
    );
    Ok(Command::new(path))
}
