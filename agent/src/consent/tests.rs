use std::{fs, path::Path};

use super::*;

const OLD: &str = r#"
namespace = "app"

[[measurement]]
name = "hits"
kind = "counter"
description = "Hits."
tags = { outcome = ["ok"] }
"#;
const MORE: &str = r#"
[[measurement]]
name = "visits"
kind = "counter"
description = "Visits."
"#;

fn schema(text: &str) -> Schema {
    Schema::from_toml(text).unwrap()
}

fn names(permitted: &Result<Schema, OffReason>) -> Vec<&str> {
    permitted.as_ref().unwrap().measurements().map(|(name, _)| name).collect()
}

#[test]
fn p1_only_the_word_granted_is_consent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consent");
    let permits = || Consent::file(&path).permits(&schema(OLD)).map(drop);
    assert_eq!(permits(), Err(OffReason::NoConsent), "no file");
    for (text, expected) in [
        ("granted", Ok(())),
        ("granted 2026-01-01\n", Ok(())),
        ("granted\n\n# as said on the phone\n", Ok(())),
        (&format!("granted\n{OLD}"), Ok(())),
        ("granted\nby Alice", Err(OffReason::NoConsent)),
        ("granted\nnamespace = \"other\"", Err(OffReason::NoConsent)),
        ("denied", Err(OffReason::Denied)),
        (&format!("denied\n{OLD}"), Err(OffReason::Denied)),
        ("", Err(OffReason::NoConsent)),
        ("not granted", Err(OffReason::NoConsent)),
        ("\ngranted", Err(OffReason::NoConsent)),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(permits(), expected, "{text:?}");
    }
}

#[test]
fn p1_what_a_schema_has_grown_by_waits_for_another_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consent");
    let consent = Consent::file(&path);
    fs::write(&path, "granted").unwrap();
    let grown = schema(&format!("{}{MORE}", OLD.replace("[\"ok\"]", "[\"ok\", \"failed\"]")));

    // The first start writes down what it declares.
    assert_eq!(names(&consent.permits(&schema(OLD))), ["app.hits.count"]);
    assert_eq!(Answer::read(&path), Answer::Granted(Some(schema(OLD))));
    assert_eq!(consent.permits(&grown), Ok(schema(OLD)), "only the old");
    let pending = Pending::of(&grown, &consent.answer());
    let lines: Vec<String> = pending.iter().map(Pending::to_string).collect();
    assert_eq!(
        lines,
        [
            "finer    app.hits.count: tag outcome may be failed, too. Hits.",
            "new      app.visits.count. Visits.",
        ]
    );

    consent.keep(&Answer::Granted(Some(grown.clone()))).unwrap();
    assert_eq!(consent.permits(&grown), Ok(grown.clone()));
    assert_eq!(Pending::of(&grown, &consent.answer()), []);
    // A version that declares less needs nobody's leave.
    assert_eq!(consent.permits(&schema(OLD)), Ok(schema(OLD)));
    assert_eq!(Pending::of(&grown, &Answer::Unasked).len(), 2, "all of it, where nobody was asked");
}

#[test]
fn p1_a_no_that_comes_while_a_yes_is_completed_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consent");
    let write = |text: &str| fs::write(&path, text).unwrap();
    let (renamed, in_place) = (|| Answer::Denied.write(&path).unwrap(), || write("denied\n"));
    for (say_no, how) in [(&renamed as &dyn Fn(), "renamed"), (&in_place, "in place")] {
        write("granted");
        let bare = Bare::open(&path).unwrap().unwrap();
        say_no();
        bare.complete(&schema(OLD)).unwrap();
        assert_eq!(Answer::read(&path), Answer::Denied, "{how}");
        assert!(Bare::open(&path).unwrap().is_none(), "{how}");
    }
    // Two starts at once complete it once; what a person wrote below it stays.
    write("granted\n# as said on the phone");
    let first = Bare::open(&path).unwrap().unwrap();
    assert!(Bare::open(&path).unwrap().is_none());
    first.complete(&schema(OLD)).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("on the phone"));
    assert_eq!(Answer::read(&path), Answer::Granted(Some(schema(OLD))));
}

#[test]
fn a_pipe_in_the_place_of_an_answer_blocks_nobody_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consent");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(Answer::read(&path), Answer::Unasked);
    assert!(Bare::open(&path).is_err());
    Answer::Denied.write(&path).unwrap();
    assert_eq!(Answer::read(&path), Answer::Denied);
}

#[test]
fn an_answer_is_where_it_was_when_it_was_named() {
    let Consent(Source::File(path)) = Consent::file("consent") else { panic!("no file") };
    assert_eq!(path, std::env::current_dir().unwrap().join("consent"));
}

#[test]
fn what_a_callback_answers_is_not_written_anywhere() {
    let grown = schema(&format!("{OLD}{MORE}"));
    assert_eq!(Consent::callback(|| true).permits(&grown), Ok(grown.clone()));
    assert_eq!(Consent::callback(|| false).permits(&grown), Err(OffReason::NoConsent));
    let consent = Consent::answers(|| Answer::Granted(Some(schema(OLD))));
    assert_eq!(consent.permits(&grown), Ok(schema(OLD)));
    consent.keep(&Answer::Denied).unwrap();
    assert_eq!(consent.permits(&grown), Ok(schema(OLD)));
}

#[test]
fn an_answer_is_read_as_it_is_written_and_replaces_the_last_one() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made").join("consent");
    let answers = [
        Answer::Granted(Some(schema(OLD))),
        Answer::Denied,
        Answer::Granted(None),
        Answer::Unasked,
    ];
    for answer in &answers {
        answer.write(&path).unwrap();
        assert_eq!(Answer::read(&path), *answer);
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    // Nothing is left beside it, and what is there already isn't written again.
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let before = path.metadata().unwrap().ino();
    Answer::Unasked.write(&path).unwrap();
    assert_eq!(path.metadata().unwrap().ino(), before);
    assert!(Answer::Denied.write(&folder.path().join("made")).is_err(), "a folder is in its place");
}
