//! Negative controls: what shows that the test of an invariant sees when its mechanism is gone.
//!
//! Each is a patch of a few lines to production code in `tests/controls`. It is applied to a copy of the
//! project, one test runs there, and has to fail by the assertion that the patch names. The control fails when
//! the patch doesn't apply or compile, and when the test passes or fails by something else.
//!
//! What is checked without running cargo is checked by the ordinary tests, too, in [`register`].

pub mod cargo;
pub mod patch;
pub mod register;
pub mod report;
pub mod run;
pub mod seed;
pub mod tree;

use std::path::{Path, PathBuf};

/// The root of the project.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}
