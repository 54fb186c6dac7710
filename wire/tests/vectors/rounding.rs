//! `rounding.json`: what leaves of a reading under a schema's digits and range.

use serde::{Deserialize, Serialize};
use undertone_wire::{
    reading::Reading,
    schema::{Digits, Kind, Measurement},
};

use crate::values::{Values, read_fields, write_fields};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    rounded: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: Kind,
    /// 0 for all.
    digits: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[i64; 2]>,
    fields: Values,
    #[serde(default)]
    leaves: Values,
}

#[test]
fn rounding() {
    crate::check("rounding.json", |vectors: &mut Vectors| {
        for case in &mut vectors.rounded {
            let measurement = Measurement {
                digits: if case.digits == 0 { Digits::All } else { Digits::Rounded(case.digits) },
                range: case.range.map(|ends| ends.map(|end| end as f64)),
                ..Measurement::new("any", case.kind, "Any.")
            };
            let reading = Reading::from_fields(case.kind, &read_fields(&case.fields));
            let reading = reading.unwrap_or_else(|| panic!("{} is refused", case.name));
            let left = measurement.precision().round(&measurement.coarsen(&reading));
            assert_eq!(measurement.check_coarseness(&left), Ok(()), "{}", case.name);
            case.leaves = write_fields(&left.fields());
        }
    });
}
