//! `undertone schema`: what it says of files, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{fs, path::Path, process::Command};

const SCHEMA: &str = r#"namespace = "fileserver"

[[measurement]]
name = "connections"
kind = "counter"
description = "Connections <accepted>."

[[measurement]]
name = "load"
kind = "gauge-float"
description = "How loaded it is."
linkable = true
"#;

/// Without any configuration, with consent denied and without a network in sight: it needs none.
fn schema(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_undertone"));
    command.arg("schema").args(arguments).current_dir(folder).env("DO_NOT_TRACK", "1");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_schema_is_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), SCHEMA).unwrap();
    let (code, said, _) = schema(folder.path(), &["check", "a.toml"]);
    assert_eq!(code, 0);
    assert!(said.starts_with("fileserver: 2 measurements every 60 s, version "), "{said}");
    assert!(said.contains("\nLinkable: fileserver.load.gauge. "), "{said}");

    let (code, page, _) = schema(folder.path(), &["show", "a.toml"]);
    assert_eq!(code, 0);
    assert!(page.contains("## load (linkable)") && page.contains(r"\<accepted\>"), "{page}");
    assert_eq!(schema(folder.path(), &["show", "--markdown", "a.toml"]).1, page);
    let (_, page, _) = schema(folder.path(), &["show", "--html", "a.toml"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("&lt;accepted&gt;"), "{page}");
}

#[test]
fn p2_a_wrong_schema_is_told_with_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, said) in [
        (
            "\"load\"",
            "\"hostname\"",
            "a.toml: line 9: `name`: `hostname` in `hostname` names what tells",
        ),
        ("linkable = true\n", "", "a.toml: line 8: `buckets`: with more than 8 buckets, or none,"),
        ("linkable = true", "precise = true", "a.toml: line 12: unknown field"),
    ] {
        fs::write(folder.path().join("a.toml"), SCHEMA.replace(from, to)).unwrap();
        for command in
            [&["check", "a.toml"][..], &["show", "a.toml"], &["diff", "a.toml", "a.toml"]]
        {
            let (code, out, error) = schema(folder.path(), command);
            assert_eq!((code, out.as_str()), (2, ""), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }
    let (code, _, error) = schema(folder.path(), &["check", "b.toml"]);
    assert_eq!(code, 2);
    assert!(error.contains("can't read b.toml: "), "{error}");
}

#[test]
fn a_difference_is_told_as_diff_does() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), SCHEMA).unwrap();
    let changed = SCHEMA.replace("linkable = true", "buckets = [0, 1]").replace("counter", "meter");
    fs::write(folder.path().join("b.toml"), changed).unwrap();
    let same = (0, String::new(), String::new());
    assert_eq!(schema(folder.path(), &["diff", "a.toml", "a.toml"]), same);
    let (code, lines, _) = schema(folder.path(), &["diff", "a.toml", "b.toml"]);
    assert_eq!(code, 1);
    let expected = "gone     fileserver.connections.count\n\
                    new      fileserver.connections.meter\n\
                    coarser  fileserver.load.gauge: buckets 0, 1, were none\n\
                    coarser  fileserver.load.gauge: no more linkable\n";
    assert_eq!(lines, expected);
}
