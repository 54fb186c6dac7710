//! Cargo, run in the copy: builds, and tests whose results are read.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::folder::Folder;
use crate::process::Process;

const BUILDING: Duration = Duration::from_secs(60 * 60);

/// Cargo in one folder.
#[derive(Debug)]
pub struct Cargo {
    /// The folder with the workspace.
    pub workspace: PathBuf,
    /// Where it builds.
    pub target: PathBuf,
}

/// What a run of tests said.
#[derive(Debug, Default)]
pub struct Results {
    output: String,
}

/// How one test ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, with this message.
    Failed(String),
}

impl Cargo {
    /// Builds what a selection needs. The inner error is what the compiler said first.
    ///
    /// # Errors
    /// If cargo can't be run.
    pub fn build(&self, selection: &[String], programs: bool) -> Result<Result<(), String>> {
        if programs {
            let built =
                self.run(&["build", "--workspace", "--bins", "--examples"], &[], BUILDING)?;
            if !built.0 {
                return Ok(Err(first_error(&built.1)));
            }
        }
        let (done, output) = self.run(&["test", "--no-run"], selection, BUILDING)?;
        Ok(if done { Ok(()) } else { Err(first_error(&output)) })
    }

    /// Runs the tests of a selection that `filters` name.
    ///
    /// # Errors
    /// If cargo can't be run, or takes longer than `limit`.
    pub fn test(&self, selection: &[String], filters: &[&str], limit: Duration) -> Result<Results> {
        let mut arguments = selection.to_vec();
        arguments.push("--no-fail-fast".to_owned());
        arguments.push("--".to_owned());
        arguments.extend(filters.iter().map(ToString::to_string));
        let (_, output) = self.run(&["test"], &arguments, limit)?;
        Ok(Results { output })
    }

    fn run(&self, first: &[&str], more: &[String], limit: Duration) -> Result<(bool, String)> {
        let folder = Folder::new("cargo")?;
        let mut command = Command::new("cargo");
        command.args(first).arg("--locked").args(more);
        command.current_dir(&self.workspace).env("CARGO_TARGET_DIR", &self.target);
        // Nobody steps through these, and without it they are linked sooner.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env("RUST_BACKTRACE", "0").env("CARGO_TERM_COLOR", "never");
        command.env_remove("UNDERTONE_PROGRAMS");
        let mut process = Process::spawn("cargo", folder.path(), command)?;
        let status = process.wait(limit)?;
        Ok((status.success(), process.log()))
    }
}

/// The workspace's packages and targets, as cargo names their files.
///
/// # Errors
/// If cargo can't tell them.
pub fn own_names(workspace: &std::path::Path) -> Result<Vec<String>> {
    let told = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(workspace)
        .output()
        .context("running cargo")?;
    ensure!(told.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &serde_json::Value| Some(value["name"].as_str()?.replace('-', "_"));
    let mut names = Vec::new();
    for package in list(&metadata["packages"]) {
        names.extend(name(&package));
        names.extend(list(&package["targets"]).iter().filter_map(name));
    }
    Ok(names)
}

impl Results {
    /// The full names of the tests that ran whose last part is `name`.
    pub fn ran(&self, name: &str) -> Vec<String> {
        let tests = self
            .output
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.split(" ... ").next());
        let mut found: Vec<String> = tests
            .map(|test| test.split(" - ").next().unwrap_or(test))
            .filter(|test| test.rsplit("::").next() == Some(name))
            .map(str::to_owned)
            .collect();
        found.sort();
        found
    }

    /// How a test ended, or nothing if it didn't run.
    pub fn verdict(&self, name: &str) -> Option<Verdict> {
        let begin = format!("---- {name} stdout ----");
        // The list of what failed comes after the messages, and libtest's own word for each before.
        if let Some((_, rest)) = self.output.split_once(&begin) {
            let end =
                rest.find("\n---- ").or_else(|| rest.find("\nfailures:\n")).unwrap_or(rest.len());
            return Some(Verdict::Failed(message(&rest[..end]).to_owned()));
        }
        let start = format!("test {name} ... ");
        let passed =
            self.output.lines().any(|line| line.starts_with(&start) && line.ends_with("ok"));
        passed.then_some(Verdict::Passed)
    }

    /// The last lines of what was said.
    pub fn end(&self) -> String {
        let lines: Vec<&str> = self.output.trim_end().lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

/// From where the test says why it failed: what it printed before is no assertion.
fn message(section: &str) -> &str {
    let begins = ["panicked at ", "\nError: "].iter().filter_map(|begin| section.find(begin));
    begins.min().map_or("", |begin| section[begin..].trim())
}

fn first_error(output: &str) -> String {
    let mut lines = output.lines().skip_while(|line| !line.starts_with("error"));
    let found: Vec<&str> = lines.by_ref().take(2).map(str::trim).collect();
    if found.is_empty() { "cargo failed".to_owned() } else { found.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let output = "running 3 tests\ntest a::tests::p2_x ... FAILED\ntest a::p2_y ... ok\ntest b::p2_z - should panic ... ok\n\n\
                      failures:\n\n---- a::tests::p2_x stdout ----\nlog: left\n\nthread 'a::tests::p2_x' panicked at \
                      a.rs:1:2:\nassertion `left == right` failed\n\nfailures:\n    a::tests::p2_x\n";
        let results = Results { output: output.to_owned() };
        assert_eq!(results.ran("p2_x"), ["a::tests::p2_x"]);
        assert_eq!(results.ran("p2_z"), ["b::p2_z"]);
        assert_eq!(results.verdict("a::p2_y"), Some(Verdict::Passed));
        assert_eq!(results.verdict("a::p2_x"), None);
        let Some(Verdict::Failed(message)) = results.verdict("a::tests::p2_x") else { panic!() };
        assert!(
            message.starts_with("panicked at a.rs") && message.ends_with("failed"),
            "{message}"
        );
    }

    #[test]
    fn the_first_error_is_told() {
        let output = "warning: x\nerror[E0425]: no such thing\n  --> a.rs:1:1\nerror: more\n";
        assert_eq!(first_error(output), "error[E0425]: no such thing --> a.rs:1:1");
    }
}
