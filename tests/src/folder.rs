//! Folders of tests: below the run's folder, gone when dropped, and with the process at the latest.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::janitor;

/// A folder of mode 0700 that is removed with its content when dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes an empty folder; the name is for those who look into it.
    pub fn new(name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = janitor::root()?.join(format!("{number}-{name}"));
        make(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("UNDERTONE_KEEP").is_none_or(|value| value != "1") {
            // What can't be removed now is removed by the janitor.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes one folder of mode 0700, with those above it.
pub fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .with_context(|| format!("making the folder {path:?}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_and_removed() {
        let folder = Folder::new("some").unwrap();
        let path = folder.path().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.join("file"), "content").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
