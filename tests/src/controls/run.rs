//! Runs controls: first every test without a patch, then each patch with its test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::cargo::{Cargo, Verdict, own_names};
use super::patch::Control;
use super::report::{Outcome, Row};
use super::{seed, tree::Tree};

const WITHOUT_PATCHES: Duration = Duration::from_secs(30 * 60);
/// Some see that something is missing by waiting for it for five minutes.
const WITH_PATCH: Duration = Duration::from_secs(10 * 60);
const QUOTED_CHARACTERS: usize = 400;

/// What a run needs.
#[derive(Debug)]
pub struct Run {
    tree: Tree,
    cargo: Cargo,
}

impl Run {
    /// Makes the copy of `root`, and takes what `target`, a folder of cargo's, has of dependencies.
    ///
    /// # Errors
    /// If either can't be done.
    pub fn prepare(root: &Path, target: &Path) -> Result<Self> {
        let folder = target.join("controls");
        std::fs::create_dir_all(folder.join("tree"))?;
        let tree = Tree::copy(root, &folder.join("tree")).context("copying the project")?;
        let own = own_names(root)?;
        std::fs::create_dir_all(folder.join("target"))?;
        seed::seed(&target.join("debug"), &folder.join("target/debug"), &own)?;
        let cargo = Cargo { workspace: tree.path().to_owned(), target: folder.join("target") };
        Ok(Self { tree, cargo })
    }

    /// Runs the tests of these controls without any patch. Returns the full name of each test that passed, and why
    /// the others are of no use.
    ///
    /// # Errors
    /// If cargo can't be run.
    pub fn without_patches(&self, controls: &[&Control], say: &dyn Fn(&str)) -> Result<Known> {
        let mut groups: BTreeMap<(bool, &[String]), BTreeSet<&str>> = BTreeMap::new();
        for control in controls {
            let group = (control.is_end_to_end(), control.selection.as_slice());
            groups.entry(group).or_default().insert(&control.test);
        }
        let mut known = Known::new();
        for ((programs, selection), tests) in groups {
            let began = Instant::now();
            say(&format!("without patches: {}", selection.join(" ")));
            let results = match self.cargo.build(selection, programs)? {
                Err(message) => Err(format!("without the patch: {message}")),
                Ok(()) => {
                    let filters: Vec<&str> = tests.iter().copied().collect();
                    Ok(self.cargo.test(selection, &filters, WITHOUT_PATCHES)?)
                }
            };
            for test in &tests {
                let full = results.as_ref().map_err(Clone::clone).and_then(|results| {
                    let [full] = results
                        .ran(test)
                        .try_into()
                        .map_err(|ran: Vec<_>| format!("{} tests of this name ran", ran.len()))?;
                    match results.verdict(&full) {
                        Some(Verdict::Passed) => Ok(full),
                        Some(Verdict::Failed(why)) => {
                            Err(format!("it fails without the patch: {}", short(&why)))
                        }
                        None => Err("it doesn't end without the patch".to_owned()),
                    }
                });
                known.insert((selection.to_vec(), (*test).to_owned()), full);
            }
            say(&format!("  {} tests, {} s", tests.len(), began.elapsed().as_secs()));
        }
        Ok(known)
    }

    /// Runs one control.
    ///
    /// # Errors
    /// If cargo or git can't be run.
    pub fn with_patch(&self, control: &Control, known: &Known) -> Result<Row> {
        let began = Instant::now();
        let outcome = self.outcome(control, known)?;
        Ok(Row::new(control, outcome, began.elapsed()))
    }

    fn outcome(&self, control: &Control, known: &Known) -> Result<Outcome> {
        let full = match known.get(&(control.selection.clone(), control.test.clone())) {
            Some(Ok(full)) => full,
            Some(Err(why)) => return Ok(Outcome::NoTest(why.clone())),
            None => return Ok(Outcome::NoTest("it didn't run without the patch".to_owned())),
        };
        let _applied = match self.tree.apply(control)? {
            Ok(applied) => applied,
            Err(message) => return Ok(Outcome::Refused(message)),
        };
        if let Err(message) = self.cargo.build(&control.selection, control.is_end_to_end())? {
            return Ok(Outcome::NotCompiled(message));
        }
        let results = match self.cargo.test(&control.selection, &["--exact", full], WITH_PATCH) {
            Ok(results) => results,
            Err(error) => return Ok(Outcome::Otherwise(short(&format!("{error:#}")))),
        };
        Ok(match results.verdict(full) {
            Some(Verdict::Failed(message)) if message.contains(&control.assertion) => {
                Outcome::Caught
            }
            Some(Verdict::Failed(message)) => Outcome::Otherwise(short(&message)),
            Some(Verdict::Passed) => Outcome::Uncaught,
            None => Outcome::Otherwise(format!("the test didn't end: {}", short(&results.end()))),
        })
    }
}

/// By selection and name: the full name of a test that passes, or why there is none.
pub type Known = BTreeMap<(Vec<String>, String), Result<String, String>>;

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(QUOTED_CHARACTERS).collect()
}
