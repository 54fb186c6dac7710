//! What is compiled for the controls begins with what was compiled for the project: Tor isn't compiled again.
//!
//! Only what isn't of this workspace is taken, by hard links where nothing is ever written in place.

use std::fs::{File, FileTimes};
use std::path::Path;

use anyhow::{Context, Result};

/// Takes the compiled dependencies in `from`, a folder of cargo's such as `target/debug`, into `to`, unless that is there already.
///
/// # Errors
/// If something can't be linked or copied.
pub fn seed(from: &Path, to: &Path, own: &[String]) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    // Complete, or not there.
    let unfinished = to.with_extension("unfinished");
    let _ = std::fs::remove_dir_all(&unfinished);
    for folder in [".fingerprint", "build", "deps"] {
        let source = from.join(folder);
        std::fs::create_dir_all(unfinished.join(folder))?;
        let Ok(entries) = source.read_dir() else { continue };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if !is_own(&name.to_string_lossy(), own) {
                // Cargo writes fingerprints in place, but removes a library before it makes it again.
                take(&entry.path(), &unfinished.join(folder).join(&name), folder == "deps")
                    .with_context(|| format!("taking {:?}", entry.path()))?;
            }
        }
    }
    std::fs::rename(&unfinished, to).with_context(|| format!("renaming to {to:?}"))
}

/// Whether a file of cargo's, `libNAME-HASH.rlib` or the like, is of one of these packages or targets.
fn is_own(file: &str, own: &[String]) -> bool {
    let stem = file.rsplit_once('-').map_or(file, |(stem, _)| stem).replace('-', "_");
    let bare = stem.strip_prefix("lib").unwrap_or(&stem);
    own.iter().any(|name| *name == stem || name == bare)
}

fn take(from: &Path, to: &Path, link: bool) -> Result<()> {
    let metadata = from.metadata()?;
    if metadata.is_dir() {
        std::fs::create_dir(to)?;
        for entry in from.read_dir()? {
            let entry = entry?;
            take(&entry.path(), &to.join(entry.file_name()), link)?;
        }
    } else if !link || std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to)?;
    }
    // Cargo compares times.
    File::open(to)?.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    #[test]
    fn what_is_taken_keeps_its_time_and_what_is_own_is_left() {
        let folder = Folder::new("seed").unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        std::fs::create_dir_all(from.join("deps")).unwrap();
        let names = ["libarti-1a.rlib", "libundertone_wire-2b.rlib", "undertone_wire-2b.d"];
        for name in names {
            std::fs::write(from.join("deps").join(name), name).unwrap();
        }
        let own = ["undertone_wire".to_owned()];
        seed(&from, &to, &own).unwrap();
        let time =
            |path: &Path| path.join("deps").join(names[0]).metadata().unwrap().modified().unwrap();
        assert_eq!(time(&from), time(&to));
        assert!(
            !to.join("deps").join(names[1]).exists() && !to.join("deps").join(names[2]).exists()
        );
        // A second time nothing is taken.
        std::fs::remove_dir_all(&from).unwrap();
        seed(&from, &to, &own).unwrap();
    }
}
