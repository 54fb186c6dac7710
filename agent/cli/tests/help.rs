//! What the binary says of itself: every `--help`, as it stands in `tests/snapshots/help.txt`.
//!
//! After a change that is meant, `UNDERTONE_REGENERATE_SNAPSHOTS=1` writes that file anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{env, fmt::Write, fs, path::Path, process::Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone");

fn output(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The help of a command, and of those below it that it names.
fn help(command: &[&str], all: &mut String) {
    let (code, text, _) = output(&[command, &["--help"]].concat());
    assert_eq!(code, 0, "{command:?}");
    writeln!(all, "$ undertone {}\n{text}", [command, &["--help"]].concat().join(" ")).unwrap();
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            help(&[command, &[name]].concat(), all);
        }
    }
}

fn is_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if env::var_os("UNDERTONE_REGENERATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs: is that meant?", path.display());
}

#[test]
fn help_is_as_it_was() {
    let mut all = String::new();
    help(&[], &mut all);
    for command in [
        "run",
        "preview",
        "sent",
        "check",
        "doctor",
        "score",
        "schema check",
        "schema show",
        "schema diff",
        "schema export",
        "config example",
    ] {
        assert!(all.contains(&format!("$ undertone {command} --help")), "{command}");
    }
    is_snapshot("help.txt", &all);
}

#[test]
fn the_example_is_as_it_was() {
    let (code, text, _) = output(&["config", "example"]);
    assert_eq!(code, 0);
    is_snapshot("example.toml", &text);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("undertone.example.toml");
    assert_eq!(text, fs::read_to_string(kept).unwrap());
}

#[test]
fn what_help_says_of_exit_codes_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let with = |text: &str, arguments: &[&str]| {
        let file = folder.path().join("undertone.toml");
        fs::write(&file, text).unwrap();
        output(&[&["--config", file.to_str().unwrap()], arguments].concat())
    };
    for (text, arguments, expected, said) in [
        ("", &["check"][..], 0, ""),
        ("", &["schema", "export"], 0, ""),
        ("", &["run"], 3, "no consent"),
        ("", &["preview"], 3, "no consent"),
        ("data_dir = \"none\"", &["sent"], 0, ""),
        ("ledger = \"memory\"", &["sent"], 1, "in memory"),
        ("ledger = \"disc\"", &["sent"], 2, "did you mean `disk`?"),
        ("", &["doctor", "--offline"], 1, ""),
        ("alais = 1", &["run"], 2, "line 1: `alais`"),
        ("\nalais = 1", &["check"], 2, "line 2: `alais`"),
        ("alais = 1", &["preview"], 2, "did you mean `alias`?"),
        ("alais = 1", &["doctor"], 1, ""),
        ("", &["dance"], 2, "unrecognized subcommand"),
    ] {
        let (code, _, error) = with(text, arguments);
        assert_eq!(code, expected, "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_month_costs_what_its_parts_cost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("undertone.toml");
    fs::write(&file, "push_every_seconds = 240").unwrap();
    let (_, text, _) = output(&["--config", file.to_str().unwrap(), "check"]);
    for part in [
        "own pushes     68 MB",
        "chaff          56 MB",
        "idle Tor       60 MB",
        "directory      30 MB",
        "together      214 MB",
        "Assumed: 30 days",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
