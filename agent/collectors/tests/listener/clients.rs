//! InfluxDB's own clients, of version 2 and 1, as a Go program: what is handed over is what they wrote,
//! in every type and precision, plain and gzipped, at once and in batches.

use std::process::Command;

use serde_json::Value;
use undertone_collectors::listener::Limits;
use undertone_wire::{FieldValue, Point};

use crate::{
    go_program,
    serving::{Serving, TOKEN},
};

#[test]
fn influxdbs_clients_write_through_tcp() {
    let serving = Serving::start(Limits::default());
    let written = write(&[&format!("http://{}", serving.address), TOKEN]);
    // Three points: in 4 precisions by 2 encodings, twice; in 5 precisions by 2 encodings.
    assert_eq!(written.len(), 3 * (4 * 2 * 2 + 5 * 2));
    assert_same(serving.points(), written);
}

#[test]
fn influxdbs_client_writes_through_the_unix_socket() {
    let serving = Serving::start(Limits::default());
    let written = write(&["http://localhost", "unused", serving.path.to_str().unwrap()]);
    assert_eq!(written.len(), 3 * 4 * 2 * 2);
    assert_same(serving.points(), written);
}

/// What the program says that it wrote.
fn write(arguments: &[&str]) -> Vec<Point> {
    let program = go_program::build("write-points", "InfluxDB's own clients");
    let output = Command::new(program).args(arguments).output().expect("write-points starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "write-points failed: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| point(&serde_json::from_str(line).unwrap())).collect()
}

fn point(described: &Value) -> Point {
    let text = |value: &Value| value.as_str().expect("write-points says strings").to_owned();
    let tags = described["tags"].as_object().unwrap();
    let fields = described["fields"].as_array().unwrap();
    Point {
        measurement: text(&described["measurement"]).into(),
        tags: tags.iter().map(|(key, value)| (key.into(), text(value).into())).collect(),
        fields: fields
            .iter()
            .map(|f| (text(&f[0]).into(), value(&text(&f[1]), &text(&f[2]))))
            .collect(),
        timestamp: Some(text(&described["timestamp"]).parse().unwrap()),
    }
}

fn value(kind: &str, value: &str) -> FieldValue {
    match kind {
        "float" => FieldValue::Float(f64::from_bits(value.parse().unwrap())),
        "integer" => FieldValue::Integer(value.parse().unwrap()),
        "unsigned" => FieldValue::Unsigned(value.parse().unwrap()),
        "boolean" => FieldValue::Boolean(value.parse().unwrap()),
        "string" => FieldValue::String(value.to_owned()),
        other => panic!("write-points knows no type {other}"),
    }
}

/// Clients may send one request before another.
fn assert_same(mut handed_over: Vec<Point>, mut written: Vec<Point>) {
    handed_over.sort_by_key(|point| format!("{point:?}"));
    written.sort_by_key(|point| format!("{point:?}"));
    assert_eq!(handed_over.len(), written.len());
    for (handed_over, written) in handed_over.iter().zip(&written) {
        assert_eq!(handed_over, written);
    }
}
