//! The table of examples, `wire/vectors/line-protocol.json`.

use serde_json::Value;
use undertone_wire::line_protocol::{LineError, parse, write};
use undertone_wire::{FieldValue, Point};

use crate::peers::{Reading, assert_crate_agrees, influxdb_line_protocol};
use crate::{accepted, influxdb2, same};

struct Case {
    name: String,
    text: String,
    expected: Vec<Value>,
    /// How InfluxDB 2's parser and the crate `influxdb-line-protocol` take the text, where it says so.
    peers: Option<[String; 2]>,
}

fn cases() -> Vec<Case> {
    let table: Value =
        serde_json::from_str(include_str!("../../vectors/line-protocol.json")).unwrap();
    let cases = table["cases"].as_array().unwrap().iter().map(|case| Case {
        name: string(&case["name"]),
        text: string(&case["text"]),
        expected: case["expected"].as_array().unwrap().clone(),
        peers: case
            .get("peers")
            .map(|peers| [string(&peers["influxdb2"]), string(&peers["influxdb-line-protocol"])]),
    });
    cases.collect()
}

#[test]
fn every_example_is_read_as_the_table_says() {
    let cases = cases();
    assert!(cases.len() >= 80, "the table has {} cases", cases.len());
    for case in cases {
        let read: Vec<_> = parse(&case.text).collect();
        assert_eq!(read.len(), case.expected.len(), "{}: {read:?}", case.name);
        for (read, expected) in read.into_iter().zip(&case.expected) {
            match (read, expected.get("error")) {
                (Ok(line), None) => {
                    let (read, expected) = (Point::from(line), point(expected));
                    assert!(
                        same(std::slice::from_ref(&read), &[expected]),
                        "{}: {read:?}",
                        case.name
                    );
                }
                (Err(error), Some(kind)) => {
                    let place = format!("{kind} {} {}", expected["line"], expected["column"]);
                    assert_eq!(describe(&error), place, "{}: {error}", case.name);
                }
                (read, _) => panic!("{}: {read:?}", case.name),
            }
        }
    }
}

#[test]
fn every_point_in_the_table_can_be_written_and_read_back() {
    for case in cases() {
        let points = accepted(&case.text);
        let mut text = String::new();
        for point in &points {
            write(point, &mut text).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
        assert!(same(&accepted(&text), &points), "{}: {text:?}", case.name);
    }
}

#[test]
fn names_may_be_as_long_as_influxdb_takes_them() {
    let fits = format!("{} f=1", "a".repeat(65_530));
    let too_long = format!("a{fits}");
    let theirs = influxdb2::read_all(&[fits.clone(), too_long.clone()]);
    assert_eq!(accepted(&fits).len(), 1);
    assert!(same(&accepted(&fits), &theirs[0].points));
    let error = parse(&too_long).next().unwrap().unwrap_err();
    assert_eq!(describe(&error), "\"KeyTooLong\" 1 65533");
    assert_eq!(taken(&theirs[1], &[]), "refused");
}

/// A peer reads the `same`, refuses (`refused`), or reads something `other`; where the table says
/// nothing, it reads at least the points that are accepted here.
#[test]
fn peers_take_every_example_as_the_table_says() {
    let cases = cases();
    let texts: Vec<_> = cases.iter().map(|case| case.text.clone()).collect();
    for (case, influxdb2) in cases.iter().zip(influxdb2::read_all(&texts)) {
        let ours = accepted(&case.text);
        let the_crate = influxdb_line_protocol(&case.text);
        if let Some(expected) = &case.peers {
            let taken = [taken(&influxdb2, &ours), taken(&the_crate, &ours)];
            assert_eq!(&taken, expected, "{}: {influxdb2:?} and {the_crate:?}", case.name);
        } else {
            assert!(crate::among(&ours, &influxdb2.points), "{}: {influxdb2:?}", case.name);
            assert_crate_agrees(&case.text, &ours);
        }
    }
}

fn taken(theirs: &Reading, ours: &[Point]) -> String {
    let word = match theirs {
        Reading { complete: false, points } if points.is_empty() => "refused",
        Reading { points, .. } if same(points, ours) => "same",
        _ => "other",
    };
    word.to_owned()
}

fn describe(error: &LineError) -> String {
    format!("\"{:?}\" {} {}", error.kind(), error.line(), error.column())
}

fn point(described: &Value) -> Point {
    let tags = described["tags"].as_object().into_iter().flatten();
    let fields = described["fields"].as_object().unwrap().iter();
    Point {
        measurement: string(&described["measurement"]).into(),
        tags: tags.map(|(key, value)| (key.into(), string(value).into())).collect(),
        fields: fields.map(|(key, described)| (key.into(), value(described))).collect(),
        timestamp: described.get("timestamp").map(|number| string(number).parse().unwrap()),
    }
}

fn value(described: &Value) -> FieldValue {
    let (kind, value) = described.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "float" => FieldValue::Float(string(value).parse().unwrap()),
        "integer" => FieldValue::Integer(string(value).parse().unwrap()),
        "unsigned" => FieldValue::Unsigned(string(value).parse().unwrap()),
        "boolean" => FieldValue::Boolean(value.as_bool().unwrap()),
        "string" => FieldValue::String(string(value)),
        other => panic!("the table knows no type {other}"),
    }
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
