//! Go programs of `tests/go`: second opinions that only Go has. Built from their source, once in each
//! test run; Go's own cache makes that quick.
//!
//! Each test binary that uses this names it with `#[path]`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `tests/go/cmd/<name>` into the user's cache folder. `purpose` is what the test needs Go for.
///
/// Panics where there is no Go: what was not compared must not look as if it agreed.
pub(crate) fn build(name: &str, purpose: &str) -> PathBuf {
    let program = cache_folder().join("undertone").join(name);
    let built = Command::new(go(purpose))
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(format!("./cmd/{name}"))
        .current_dir(sources())
        .status()
        .expect("go starts");
    assert!(built.success(), "building tests/go/cmd/{name} failed; see Go's output above");
    program
}

/// `tests/go` of the workspace that the test's crate is in.
fn sources() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = crate_folder.ancestors().map(|folder| folder.join("tests/go"));
    folders.into_iter().find(|folder| folder.is_dir()).expect("the workspace has tests/go")
}

fn go(purpose: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|folder| folder.join("go"))
        .chain([PathBuf::from("/usr/local/go/bin/go")])
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "this test compares with {purpose}, which is written in Go: \
                 install Go 1.23 or newer (https://go.dev/dl) so that `go` is on PATH"
            )
        })
}

fn cache_folder() -> PathBuf {
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("HOME or XDG_CACHE_HOME is set")
}
