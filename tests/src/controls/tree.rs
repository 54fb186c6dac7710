//! The copy of the project that patches are applied to.
//!
//! It stays between runs and is compared by content, not by time: what differs from the project is written anew,
//! so that cargo compiles exactly that again, and nothing that an interrupted run left is believed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::patch::{Control, git_apply};

/// The copy.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    path: PathBuf,
}

/// A patch that is applied; taken back when dropped.
#[derive(Debug)]
pub struct Applied {
    originals: Vec<(PathBuf, Vec<u8>)>,
}

impl Tree {
    /// Makes the copy at `path` equal to the project at `root` as it lies there, with what isn't committed.
    ///
    /// # Errors
    /// If git doesn't list the files, or they can't be copied.
    pub fn copy(root: &Path, path: &Path) -> Result<Self> {
        let files = files(root)?;
        for file in &files {
            copy_changed(&root.join(file), &path.join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        remove_others(path, path, &files)?;
        Ok(Self { root: root.to_owned(), path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Applies a patch; the inner error is what git says when it doesn't apply.
    ///
    /// # Errors
    /// If git can't be run, or a file can't be read.
    pub fn apply(&self, control: &Control) -> Result<Result<Applied, String>> {
        let mut originals = Vec::new();
        for file in control.files() {
            let original =
                std::fs::read(self.root.join(file)).with_context(|| format!("reading {file}"))?;
            originals.push((self.path.join(file), original));
        }
        let applied = Applied { originals };
        Ok(match git_apply(&[], &self.path, &control.path)? {
            None => Ok(applied),
            Some(message) => Err(message),
        })
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        for (path, original) in &self.originals {
            // Its time is then later than that of what was compiled of it. What fails here is made good by
            // the next run's copy.
            let _ = std::fs::write(path, original);
        }
    }
}

/// All files of the project, below its root: those in git and those that will be.
///
/// # Errors
/// If git doesn't list them.
pub fn files(root: &Path) -> Result<BTreeSet<String>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let listed =
        Command::new("git").args(arguments).current_dir(root).output().context("running git")?;
    ensure!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).context("a file's name isn't UTF-8")?;
    let names = names.split_terminator('\0').map(str::to_owned);
    // What is deleted but still in git's index is in no copy.
    Ok(names.filter(|name| root.join(name).is_file()).collect())
}

fn copy_changed(from: &Path, to: &Path) -> Result<()> {
    if std::fs::read(to)
        .is_ok_and(|copied| std::fs::read(from).is_ok_and(|content| content == copied))
    {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(from, to)?;
    Ok(())
}

fn remove_others(folder: &Path, root: &Path, files: &BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, root, files)?;
        } else if !path.strip_prefix(root)?.to_str().is_some_and(|name| files.contains(name)) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    #[test]
    fn only_what_differs_is_written() {
        let folder = Folder::new("tree").unwrap();
        let (root, copy) = (folder.join("project"), folder.join("copy"));
        std::fs::create_dir_all(root.join("src")).unwrap();
        for name in ["src/a", "b"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let done =
            Command::new("git").arg("init").arg("--quiet").current_dir(&root).status().unwrap();
        assert!(done.success());

        Tree::copy(&root, &copy).unwrap();
        let time = |name: &str| copy.join(name).metadata().unwrap().modified().unwrap();
        let first = time("b");
        std::fs::write(copy.join("src/a"), "left by a run that was killed").unwrap();
        std::fs::write(copy.join("c"), "").unwrap();
        Tree::copy(&root, &copy).unwrap();
        assert_eq!(std::fs::read(copy.join("src/a")).unwrap(), b"src/a");
        assert!(!copy.join("c").exists());
        assert_eq!(time("b"), first);
    }
}
