//! InfluxDB 2's own parser: a Go program that is built from its source and run once for many texts.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use serde_json::{Value, json};
use undertone_wire::{FieldValue, Point};

use crate::go_program;
use crate::peers::Reading;

/// What InfluxDB 2 reads in each text.
pub(crate) fn read_all(texts: &[String]) -> Vec<Reading> {
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("parse-lines starts");
    let mut input = child.stdin.take().unwrap();
    let requests: String =
        texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    let writer = thread::spawn(move || input.write_all(requests.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().expect("parse-lines reads everything");
    assert!(output.status.success(), "parse-lines failed: {}", output.status);
    let answers = String::from_utf8(output.stdout).unwrap();
    let readings: Vec<_> = answers.lines().map(reading).collect();
    assert_eq!(readings.len(), texts.len(), "one answer for each text");
    readings
}

/// The program, built once in each test run.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| go_program::build("parse-lines", "InfluxDB 2's own parser"))
}

fn reading(answer: &str) -> Reading {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let points = answer["points"].as_array().unwrap().iter().map(point).collect();
    Reading { points, complete: answer.get("error").is_none() }
}

fn point(described: &Value) -> Point {
    let tags = described["tags"].as_array().unwrap().iter();
    let fields = described["fields"].as_array().unwrap().iter();
    Point {
        measurement: text(&described["measurement"]).into(),
        tags: tags.map(|tag| (text(&tag[0]).into(), text(&tag[1]).into())).collect(),
        fields: fields.map(|f| (text(&f[0]).into(), value(&text(&f[1]), &text(&f[2])))).collect(),
        timestamp: described["timestamp"].as_str().map(|number| number.parse().unwrap()),
    }
}

fn value(kind: &str, value: &str) -> FieldValue {
    match kind {
        "float" => FieldValue::Float(f64::from_bits(value.parse().unwrap())),
        "integer" => FieldValue::Integer(value.parse().unwrap()),
        "unsigned" => FieldValue::Unsigned(value.parse().unwrap()),
        "boolean" => FieldValue::Boolean(value.parse().unwrap()),
        "string" => FieldValue::String(value.to_owned()),
        other => panic!("parse-lines knows no type {other}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("parse-lines answers in strings").to_owned()
}
