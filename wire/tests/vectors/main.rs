//! The files in `wire/vectors` against this implementation, and against an independent one in Go.
//!
//! A case is what a person wrote (a name, inputs) and what follows from it. Here all that follows is
//! computed anew, and the file must be what comes out, to the byte. With
//! `UNDERTONE_REGENERATE_VECTORS=1` it is written instead: add a case's inputs, regenerate, and read
//! the difference. Nothing else writes these files. Refusals are stated by hand and never computed.
//!
//! A failure is: another value than the file's, from either implementation; a case that one of them
//! doesn't look at. Not a failure: another compressed form of the same text.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod batches;
mod buckets;
mod endpoints;
#[path = "../support/go_program.rs"]
mod go_program;
mod parcels;
mod readings;
mod rounding;
mod values;

use std::path::PathBuf;
use std::process::Command;

use serde::{Serialize, de::DeserializeOwned};

const REGENERATE: &str = "UNDERTONE_REGENERATE_VECTORS";

/// Asserts that `vectors/<name>` is what `complete` makes of it, or makes it so if that is asked for.
fn check<T: Serialize + DeserializeOwned>(name: &str, complete: impl FnOnce(&mut T)) {
    let path = folder().join(name);
    let stored = std::fs::read_to_string(&path).unwrap();
    let mut vectors = serde_json::from_str(&stored).unwrap_or_else(|e| panic!("{name}: {e}"));
    complete(&mut vectors);
    let computed = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var(REGENERATE).is_ok_and(|value| value == "1") {
        std::fs::write(&path, computed).unwrap();
        return;
    }
    let differs = stored.lines().zip(computed.lines()).position(|(left, right)| left != right);
    if let Some(line) = differs {
        let (was, is) = (stored.lines().nth(line), computed.lines().nth(line));
        panic!("{name}, line {}:\nfile {}\ncode {}", line + 1, was.unwrap(), is.unwrap());
    }
    assert!(stored == computed, "{name}: its end differs");
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The Go program derives everything from `docs/wire.md` alone, and says how many cases it looked at.
#[test]
fn an_independent_implementation_agrees() {
    let program = go_program::build("check-vectors", "an independent implementation of the wire");
    let output = Command::new(program).arg(folder()).output().expect("check-vectors starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "check-vectors disagrees:\n{complaints}");
    let looked_at = String::from_utf8(output.stdout).unwrap();
    let expected: String =
        ["parcels", "endpoints", "batches", "readings", "rounding", "buckets"].map(count).concat();
    assert_eq!(looked_at, expected);
}

/// How many cases a file has, as the Go program says it.
fn count(name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lists = vectors.as_object().unwrap().values().filter_map(serde_json::Value::as_array);
    let cases: usize = lists.map(Vec::len).sum();
    assert!(cases >= 10, "{name} has {cases} cases");
    format!("{name}: {cases}\n")
}
