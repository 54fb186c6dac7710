//! `buckets.json`: which bucket a value is in, and what else is in it.

use serde::{Deserialize, Serialize};
use undertone_instruments::buckets::{bounds, index};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    values: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    value: String,
    #[serde(default)]
    index: i32,
    #[serde(default)]
    lower: String,
    #[serde(default)]
    upper: String,
}

#[test]
fn buckets() {
    crate::check("buckets.json", |vectors: &mut Vectors| {
        for case in &mut vectors.values {
            case.index = index(case.value.parse().unwrap());
            let (lower, upper) = bounds(case.index);
            (case.lower, case.upper) = (lower.to_string(), upper.to_string());
        }
    });
}
