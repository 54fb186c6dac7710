//! One control: a file in `tests/controls`, read, and the rules for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

/// Where controls are, below the root.
pub const FOLDER: &str = "tests/controls";

/// Lines that a patch may remove and add, together.
pub const MOST_LINES: usize = 10;

/// What may be tested without the rest of the workspace: it has no dependency on Tor, which would be compiled
/// again with other features.
const ALONE: [&str; 2] = ["undertone-wire", "undertone-instruments"];

/// A negative control.
#[derive(Clone, Debug)]
pub struct Control {
    /// The file's name without `.patch`.
    pub name: String,
    /// The name of the test function: the file's name up to the first dot.
    pub test: String,
    /// What is taken out.
    pub takes_out: String,
    /// What cargo is asked to test, without the test's name.
    pub selection: Vec<String>,
    /// A part of the message by which the test has to fail.
    pub assertion: String,
    /// The patch.
    pub path: PathBuf,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// A line that is removed, or before which lines are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Below the root.
    pub file: String,
    /// In the file as it is without the patch, from 1.
    pub line: usize,
}

/// All controls, ordered by what has to be compiled for them.
///
/// # Errors
/// If one can't be read, naming it.
pub fn all(root: &Path) -> Result<Vec<Control>> {
    let folder = root.join(FOLDER);
    let mut controls = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {folder:?}"))? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("patch")) {
            let read = Control::read(&path);
            controls.push(read.with_context(|| path.display().to_string())?);
        }
    }
    controls.sort_by_key(Control::order);
    Ok(controls)
}

impl Control {
    fn read(path: &Path) -> Result<Self> {
        let name = path.file_stem().and_then(OsStr::to_str).context("its name isn't UTF-8")?;
        Self::parse(name, path, &std::fs::read_to_string(path)?)
    }

    fn parse(name: &str, path: &Path, text: &str) -> Result<Self> {
        let test = name.split('.').next().unwrap_or(name);
        let start = text.find("diff --git ").context("there is no line `diff --git`")?;
        let (header, diff) = text.split_at(start);
        let words = |line: &str| line.strip_prefix('#').map(|line| line.trim().to_owned());
        let lines: Vec<String> = header.lines().filter_map(words).collect();
        let named = |key: &str| {
            let mut values = lines.iter().filter_map(|line| line.strip_prefix(key));
            let value = values.next().map(|value| value.trim().to_owned());
            value
                .filter(|value| !value.is_empty())
                .with_context(|| format!("it has no line `# {key} …`"))
        };
        let takes_out = lines.first().filter(|line| !line.starts_with("test:"));
        Ok(Self {
            name: name.to_owned(),
            test: test.to_owned(),
            takes_out: takes_out.context("its first line doesn't say what it takes out")?.clone(),
            selection: selection(test, &named("test:")?)?,
            assertion: named("assertion:")?,
            path: path.to_owned(),
            changes: changes(diff)?,
        })
    }

    /// The files that it changes, below the root.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<_> = self.changes.iter().map(|change| change.file.as_str()).collect();
        files.dedup();
        files
    }

    /// What it breaks of the rules for all controls, or nothing.
    ///
    /// # Errors
    /// If git can't be run, or a file can't be read.
    pub fn objection(&self, root: &Path) -> Result<Option<String>> {
        if self.changes.len() > MOST_LINES {
            return Ok(Some(format!(
                "it changes {} lines; {MOST_LINES} are allowed",
                self.changes.len()
            )));
        }
        for Change { file, line } in &self.changes {
            let production =
                ["agent/", "ingest-proxy/", "wire/"].iter().any(|crates| file.starts_with(crates))
                    && file.contains("/src/")
                    && !file.contains("/tests/")
                    && !file.ends_with("/tests.rs");
            let tested = || tests_begin(&root.join(file)).is_some_and(|begin| *line >= begin);
            if !production || tested() {
                return Ok(Some(format!("{file}:{line} is no production code")));
            }
        }
        let checked = git_apply(&["--check"], root, &self.path)?;
        Ok(checked.map(|message| format!("it doesn't apply any more: {message}")))
    }

    /// Controls that need the same things compiled stand side by side.
    fn order(&self) -> (bool, Vec<String>, String, String) {
        let file = self.files().first().map(ToString::to_string).unwrap_or_default();
        (self.is_end_to_end(), self.selection.clone(), file, self.name.clone())
    }

    /// Whether the test starts programs, which cargo doesn't build for it.
    pub fn is_end_to_end(&self) -> bool {
        self.selection.iter().any(|argument| argument == "--test")
    }
}

/// Runs `git apply` in a folder. What it says when the patch doesn't apply.
///
/// # Errors
/// If git can't be run.
pub fn git_apply(arguments: &[&str], folder: &Path, patch: &Path) -> Result<Option<String>> {
    let above = folder.parent().unwrap_or(folder);
    let done = Command::new("git")
        .arg("apply")
        .args(arguments)
        .arg(patch)
        .current_dir(folder)
        // In a folder below a repository's root git would skip all files without a word.
        .env("GIT_CEILING_DIRECTORIES", above)
        .output()
        .context("running git")?;
    let message = String::from_utf8_lossy(&done.stderr);
    Ok((!done.status.success()).then(|| message.lines().collect::<Vec<_>>().join("; ")))
}

/// The words for cargo without those that say the same in each control.
fn selection(test: &str, words: &str) -> Result<Vec<String>> {
    let words = words.strip_prefix("cargo test").unwrap_or(words);
    let mut words: Vec<String> =
        words.split_whitespace().filter(|word| *word != "--locked").map(str::to_owned).collect();
    let filter = words.pop().unwrap_or_default();
    ensure!(
        filter.rsplit("::").next().is_some_and(|last| !last.is_empty() && test.contains(last)),
        "`# test:` doesn't end with the test's name, {test}, but with {filter:?}"
    );
    let has = |word: &str| words.iter().any(|other| other == word);
    if !has("--workspace") && !has("--no-default-features") && !ALONE.iter().any(|name| has(name)) {
        bail!(
            "`# test:` has neither `--workspace` nor one of {}",
            ALONE.map(|name| format!("`-p {name}`")).join(", ")
        );
    }
    Ok(words)
}

/// The lines that a diff removes and adds.
fn changes(diff: &str) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let (mut file, mut line) = (None, 0);
    // How many lines of the hunk are still to come, before and after.
    let (mut before, mut after) = (0_usize, 0_usize);
    for text in diff.lines() {
        if before + after > 0 {
            let file = || file.clone().context("a hunk comes before its file");
            match text.as_bytes().first() {
                Some(b'-') => changes.push(Change { file: file()?, line }),
                Some(b'+') => changes.push(Change { file: file()?, line }),
                Some(b'\\') => continue,
                _ => {}
            }
            if !text.starts_with('+') {
                (before, line) = (before.saturating_sub(1), line + 1);
            }
            if !text.starts_with('-') {
                after = after.saturating_sub(1);
            }
        } else if let Some(path) = text.strip_prefix("--- ") {
            let path = path.strip_prefix("a/").context("it doesn't change an existing file")?;
            file = Some(path.to_owned());
        } else if let Some(hunk) = text.strip_prefix("@@ -") {
            let wrong = || anyhow!("what is `{text}`?");
            let (old, new) = hunk.split_once(" +").ok_or_else(wrong)?;
            let new = new.split(' ').next().ok_or_else(wrong)?;
            (line, before) = range(old).ok_or_else(wrong)?;
            after = range(new).ok_or_else(wrong)?.1;
        }
    }
    ensure!(!changes.is_empty(), "it changes nothing");
    Ok(changes)
}

fn range(text: &str) -> Option<(usize, usize)> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((start.parse().ok()?, count.parse().ok()?))
}

/// The line on which a file's unit tests begin: they come last.
fn tests_begin(file: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let position = text.lines().position(|line| line.starts_with("mod tests {"))?;
    Some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# the gate\n# test: --lib -p undertone-wire p2_x\n# assertion: left\ndiff --git a/wire/src/a.rs b/wire/src/a.rs\n\
                        --- a/wire/src/a.rs\n+++ b/wire/src/a.rs\n@@ -7,3 +7,3 @@ fn x() {\n a\n-b\n+c\n d\n";

    fn parse(text: &str) -> Result<Control> {
        Control::parse("p2_x.2", Path::new("p2_x.2.patch"), text)
    }

    #[test]
    fn a_control_is_read() {
        let control = parse(TEXT).unwrap();
        assert_eq!((control.test.as_str(), control.takes_out.as_str()), ("p2_x", "the gate"));
        assert_eq!(control.selection, ["--lib", "-p", "undertone-wire"]);
        assert_eq!(control.assertion, "left");
        let change = |line| Change { file: "wire/src/a.rs".to_owned(), line };
        assert_eq!(control.changes, [change(8), change(9)]);
    }

    #[test]
    fn what_is_no_control_is_told() {
        for (from, to, message) in [
            ("# the gate\n", "", "what it takes out"),
            ("# assertion: left\n", "", "no line `# assertion:"),
            ("p2_x\n#", "p3_y\n#", "test's name"),
            ("-p undertone-wire", "-p undertone", "neither `--workspace`"),
            ("-b\n+c\n", " b\n", "changes nothing"),
            ("--- a/wire/src/a.rs", "--- /dev/null", "existing file"),
        ] {
            let error = parse(&TEXT.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(message), "{from}: {error}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_told() {
        let folder = crate::folder::Folder::new("controls").unwrap();
        let source = folder.join("wire/src/a.rs");
        crate::folder::make(source.parent().unwrap()).unwrap();
        let patch = folder.join("p2_x.2.patch");
        let objection = |content: &str, text: &str| {
            std::fs::write(&source, content).unwrap();
            std::fs::write(&patch, text).unwrap();
            let control = Control::read(&patch).unwrap();
            control.objection(folder.path()).unwrap().unwrap_or_default()
        };
        let content = "1\n2\n3\n4\n5\n6\na\nb\nd\n";
        assert_eq!(objection(content, TEXT), "");
        assert!(objection("other\n", TEXT).contains("doesn't apply any more"));
        let tests = content.replace("2\n", "mod tests {\n");
        assert!(objection(&tests, TEXT).contains("no production code"));
        let elsewhere = TEXT.replace("wire/src/a.rs", "tests/src/a.rs");
        assert!(objection(content, &elsewhere).contains("no production code"));
        let long = TEXT.replace("+c\n", &"+c\n".repeat(10)).replace("+7,3", "+7,12");
        assert!(objection(content, &long).contains("changes 11 lines"));
    }
}
