//! `readings.json`: an instrument's fields in a parcel, and those that are written to a database.

use serde::{Deserialize, Serialize};
use undertone_wire::{reading::Reading, schema::Kind};

use crate::values::{Values, read_fields, write_fields};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    taken: Vec<Taken>,
    refused: Vec<Refused>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    name: String,
    kind: Kind,
    fields: Values,
    #[serde(default)]
    database: Values,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    kind: Kind,
    fields: Values,
}

#[test]
fn readings() {
    crate::check("readings.json", |vectors: &mut Vectors| {
        for case in &mut vectors.taken {
            let fields = read_fields(&case.fields);
            let reading = Reading::from_fields(case.kind, &fields);
            let reading = reading.unwrap_or_else(|| panic!("{} is refused", case.name));
            assert_eq!(reading.fields(), fields, "{}: written as it was read", case.name);
            case.database = write_fields(&reading.database_fields());
        }
        for case in &vectors.refused {
            let read = Reading::from_fields(case.kind, &read_fields(&case.fields));
            assert_eq!(read, None, "{}", case.name);
        }
    });
}
