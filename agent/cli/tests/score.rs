//! `undertone score`: what it says of a sample, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{fmt::Write, fs, path::Path, process::Command};

const SCHEMA: &str = r#"namespace = "app"

[[measurement]]
name = "pages"
kind = "counter"
description = "Pages opened."
tags = { where = ["host", "user", "file"] }

[[measurement]]
name = "starts"
kind = "counter"
description = "The same for all."
"#;

/// Devices that open more pages the higher their number is, every ten minutes.
fn sample(devices: u32, hours: u32) -> String {
    let mut text = "device,time,measurement,value,where\n".to_owned();
    for device in 0..devices {
        for minutes in (0..hours * 60).step_by(10) {
            let (time, pages) = (minutes * 60 + device, 3 * 2_u64.pow(device));
            writeln!(text, "d{device},{time},pages,{pages},file\nd{device},{time},starts,7,")
                .unwrap();
        }
    }
    text
}

/// Without any configuration, with consent denied and without a network in sight: it needs none.
fn score(folder: &Path, text: &str, arguments: &[&str]) -> (i32, String, String) {
    fs::write(folder.join("s.toml"), SCHEMA).unwrap();
    fs::write(folder.join("sample"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_undertone"));
    command.args(["score", "--schema", "s.toml", "--trace", "sample"]).args(arguments);
    let output = command.current_dir(folder).env("DO_NOT_TRACK", "1").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_tells_devices_apart_is_named_and_what_does_not_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--scope", "30m"];
    let (code, said, error) = score(folder.path(), &sample(12, 20), &arguments);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(said.starts_with("12 devices over 0.8 days: "), "{said}");
    let verdict = said.lines().find(|line| line.starts_with("Verdict: ")).unwrap();
    assert!(
        verdict.contains("can be followed")
            && verdict.contains("Most by: app.pages.count,where=file."),
        "{said}"
    );
    assert!(!verdict.contains("app.starts"), "{said}");
}

#[test]
fn too_little_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = score(folder.path(), &sample(2, 20), &[]);
    assert_eq!(code, 1);
    let needed = "at least 10 devices and 100 such sessions are needed";
    assert!(error.contains("too little to tell: 2 devices") && error.contains(needed), "{error}");
}

#[test]
fn a_wrong_sample_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (line, wrong) in [
        ("a,1,other,1", "\"other\" is not in the schema"),
        ("a,1e308,starts,1", "its time is no number of seconds"),
        ("a,-1e308,starts,1", "its time is no number of seconds"),
    ] {
        let text = format!("device,time,measurement,value\n{line}\n");
        let (code, _, error) = score(folder.path(), &text, &[]);
        assert_eq!(code, 2, "{error}");
        assert!(error.starts_with(&format!("undertone: sample: line 2: {wrong}")), "{error}");
    }
}
