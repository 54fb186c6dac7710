//! What `docs/invariants.md`, the tests and the controls say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::{patch, tree};

/// The invariants, the tests that bear their numbers, and what documents them.
#[derive(Debug)]
pub struct Register {
    /// By invariant: the tests that its row names.
    pub rows: BTreeMap<String, BTreeSet<String>>,
    /// Every test that the document names by a number.
    pub documented: BTreeSet<String>,
    /// Every private function, with its file: all tests are among them.
    pub functions: BTreeMap<String, String>,
}

impl Register {
    /// Reads the document, and looks for the tests in all Rust files.
    ///
    /// # Errors
    /// If something can't be read.
    pub fn read(root: &Path) -> Result<Self> {
        let document = "docs/invariants.md";
        let text = std::fs::read_to_string(root.join(document)).context(document)?;
        let rows = text.lines().filter_map(row).collect();
        let documented = names(&text).filter(|name| is_numbered(name)).collect();
        let mut functions = BTreeMap::new();
        for file in tree::files(root)?.into_iter().filter(|file| file.ends_with(".rs")) {
            let source = std::fs::read_to_string(root.join(&file)).with_context(|| file.clone())?;
            for line in source.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
                functions.extend(function(line).map(|name| (name.to_owned(), file.clone())));
            }
        }
        Ok(Self { rows, documented, functions })
    }

    /// What doesn't agree, one line each.
    ///
    /// # Errors
    /// If a control can't be read, or git can't be run.
    pub fn objections(&self, root: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let controls = patch::all(root)?;
        let controlled: BTreeSet<&str> =
            controls.iter().map(|control| control.test.as_str()).collect();
        for name in self.documented.iter().filter(|name| !self.functions.contains_key(*name)) {
            found.push(format!("docs/invariants.md names {name}, which is no test"));
        }
        let numbered = self.functions.iter().filter(|(name, _)| is_numbered(name));
        for (name, file) in numbered.filter(|(name, _)| !self.documented.contains(*name)) {
            found.push(format!("docs/invariants.md doesn't name {name} in {file}"));
        }
        for (invariant, tests) in &self.rows {
            if !tests.is_empty() && !tests.iter().any(|test| controlled.contains(test.as_str())) {
                found.push(format!("{invariant} has tests, but no control in {}", patch::FOLDER));
            }
        }
        for control in &controls {
            if !self.functions.contains_key(&control.test) {
                found.push(format!("{}: there is no test {}", control.name, control.test));
            }
            found.extend(control.objection(root)?.map(|why| format!("{}: {why}", control.name)));
        }
        Ok(found)
    }
}

/// `| **P1** | promise | holds | tests | missing |`
fn row(line: &str) -> Option<(String, BTreeSet<String>)> {
    let rest = line.strip_prefix("| **")?;
    let (invariant, rest) = rest.split_once("** |")?;
    let tests = rest.split('|').nth(2)?;
    Some((invariant.to_owned(), names(tests).collect()))
}

/// What stands between backticks and is a name.
fn names(text: &str) -> impl Iterator<Item = String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let names = quoted.filter(|word| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    });
    names.map(str::to_owned)
}

/// The private function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// `p1_…`, `d12_…`, `s3_…`
fn is_numbered(name: &str) -> bool {
    name.strip_prefix(['p', 'd', 's']).is_some_and(|rest| {
        let digits =
            rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        digits > 0 && rest[digits..].starts_with('_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::root;

    #[test]
    fn invariants_tests_and_controls_agree() {
        let root = root();
        let register = Register::read(&root).unwrap();
        assert!(register.rows.len() > 10 && register.functions.len() > 10, "{register:?}");
        let objections = register.objections(&root).unwrap();
        assert!(objections.is_empty(), "{}", objections.join("\n"));
    }

    #[test]
    fn rows_and_functions_are_read() {
        let (name, tests) =
            row("| **P1** | Silence: `none`. | It is `so`. | `p1_a`, of that `b` | - |").unwrap();
        assert_eq!((name.as_str(), tests), ("P1", ["p1_a", "b"].map(str::to_owned).into()));
        assert_eq!(row("| | Promise |"), None);
        assert_eq!(function("async fn p3_p7_x() {"), Some("p3_p7_x"));
        assert_eq!(function("let function = x;"), None);
        assert!(is_numbered("d12_x") && !is_numbered("s1") && !is_numbered("private_and_removed"));
    }
}
