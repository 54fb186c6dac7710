//! What holds for all texts and all points.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use undertone_wire::Point;
use undertone_wire::line_protocol::{LineErrorKind, parse, write};

use crate::peers::{Reading, assert_crate_agrees, influxdb_line_protocol};
use crate::{accepted, among, influxdb2, same, texts};

/// Texts of each sort for InfluxDB 2's parser.
const TEXTS: usize = 4000;

proptest! {
    #![proptest_config(Config { cases: 4000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_crate_reads_near_valid_texts_alike(text in texts::near_valid()) {
        assert_crate_agrees(&text, &accepted(&text));
    }

    #[test]
    fn the_crate_reads_mutated_texts_alike(text in texts::mutated()) {
        assert_crate_agrees(&text, &accepted(&text));
    }

    #[test]
    fn the_crate_reads_nasty_texts_alike(text in texts::nasty()) {
        assert_crate_agrees(&text, &accepted(&text));
    }

    #[test]
    fn no_text_panics_and_places_are_in_the_text(text in any::<String>()) {
        for error in parse(&text).filter_map(Result::err) {
            let line = text.split('\n').nth(error.line() - 1).expect("a line of the text");
            prop_assert!((1..=line.len() + 1).contains(&error.column()), "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back_equal_or_is_refused(point in texts::point()) {
        let mut text = "before\n".to_owned();
        match write(&point, &mut text) {
            Ok(()) => {
                let line = text.strip_prefix("before\n").expect("what was there");
                let read: Vec<_> = parse(line).collect::<Result<_, _>>().expect("no error");
                let read: Vec<_> = read.into_iter().map(Point::from).collect();
                prop_assert!(same(&read, std::slice::from_ref(&point)), "{line:?} is {read:?}");
                assert_crate_agrees(line, &read);
            }
            Err(_) => prop_assert_eq!(text, "before\n"),
        }
    }

    #[test]
    fn a_line_without_quotes_or_backslashes_spoils_nothing(bad in "[^\"\\\\\n]{0,20}") {
        let text = format!("{bad}\nafter f=1");
        prop_assert!(among(&[Point::new("after").field("f", 1.0)], &accepted(&text)));
    }
}

#[test]
fn influxdb2_reads_alike() {
    let mut texts = samples(texts::near_valid());
    texts.extend(samples(texts::mutated()));
    texts.extend(samples(texts::nasty()));
    let mut compared = 0;
    for (text, theirs) in texts.iter().zip(influxdb2::read_all(&texts)) {
        let ours = accepted(text);
        compared += ours.len();
        assert!(
            among(&ours, &theirs.points),
            "InfluxDB 2 reads {text:?} differently\nours:   {ours:?}\ntheirs: {theirs:?}"
        );
    }
    assert!(compared > TEXTS, "only {compared} points were compared: the texts are too wild");
}

#[test]
fn influxdb2_reads_what_is_written() {
    let points = samples(texts::point());
    let mut written = Vec::new();
    let mut lines = Vec::new();
    for point in points {
        let mut line = String::new();
        if write(&point, &mut line).is_ok() {
            written.push(point);
            lines.push(line);
        }
    }
    assert!(lines.len() > TEXTS / 4, "only {} points could be written", lines.len());
    for ((point, line), theirs) in written.iter().zip(&lines).zip(influxdb2::read_all(&lines)) {
        let expected = std::slice::from_ref(point);
        assert!(same(&theirs.points, expected), "{line:?} is {theirs:?}, not {point:?}");
    }
}

/// What every parser accepts alike is refused only for reasons that `docs/line-protocol.md` lists.
#[test]
fn what_all_read_alike_is_refused_for_few_reasons() {
    let mut texts = samples(texts::near_valid());
    texts.extend(samples(texts::mutated()));
    texts.retain(|text| !text.contains('\n'));
    for (text, influxdb2) in texts.iter().zip(influxdb2::read_all(&texts)) {
        let the_crate = influxdb_line_protocol(text);
        if !influxdb2.complete || !the_crate.complete || !agree(&influxdb2, &the_crate) {
            continue;
        }
        for error in parse(text).filter_map(Result::err) {
            assert!(
                matches!(
                    error.kind(),
                    LineErrorKind::AmbiguousEscape
                        | LineErrorKind::AmbiguousLineEnd
                        | LineErrorKind::ControlCharacter
                        | LineErrorKind::DuplicateField
                        | LineErrorKind::ReservedName
                        | LineErrorKind::UnescapedEquals
                ),
                "{text:?}: {error}, but others read {influxdb2:?}"
            );
        }
    }
}

fn agree(left: &Reading, right: &Reading) -> bool {
    same(&left.points, &right.points)
}

fn samples<S: Strategy>(strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::default();
    let mut sample = || strategy.new_tree(&mut runner).expect("a sample").current();
    (0..TEXTS).map(|_| sample()).collect()
}
