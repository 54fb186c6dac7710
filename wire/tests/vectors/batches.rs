//! `batches.json`: payloads, and the points that they say.
//!
//! A text has many compressed forms, one for each version of a compressor. So payloads are inputs, and
//! what our own encoder makes is compared decompressed.

use serde::{Deserialize, Serialize};
use undertone_wire::batch::Payload;

use crate::parcels::payload;
use crate::values::{WrittenPoint, bytes};

/// The longest text of a batch.
const TEXT_LIMIT: usize = 65_536;
/// The longest text that stands in the file.
const SHOWN_TEXT_LIMIT: usize = 4_096;

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
    payload: String,
    /// What the payload decompresses to; left out where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default)]
    text_length: usize,
    /// Whether an agent would write the points as this text.
    #[serde(default)]
    canonical: bool,
    #[serde(default)]
    points: Vec<WrittenPoint>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    payload: String,
    reason: String,
}

#[test]
fn batches() {
    crate::check("batches.json", |vectors: &mut Vectors| {
        vectors.taken.iter_mut().for_each(complete);
        for case in &vectors.refused {
            let error = payload(&bytes(&case.payload)).decode().expect_err(&case.name);
            let reason = format!("{error:?}");
            let kind = reason.split('(').next().unwrap();
            assert_eq!(kind, case.reason, "{}: {error}", case.name);
        }
    });
}

fn complete(case: &mut Taken) {
    let payload = payload(&bytes(&case.payload));
    let points = payload.decode().expect(&case.name);
    let text = text_of(&payload);
    let encoded = Payload::encode(&points).unwrap();
    case.canonical = text_of(&encoded) == text;
    case.text_length = text.len();
    case.text = (text.len() <= SHOWN_TEXT_LIMIT).then_some(text);
    assert_eq!(encoded.decode().unwrap(), points, "{}: decoded as it was encoded", case.name);
    case.points = points.into_iter().map(WrittenPoint::from).collect();
}

fn text_of(payload: &Payload) -> String {
    let text = zstd::bulk::decompress(&payload.as_bytes()[1..], TEXT_LIMIT).unwrap();
    String::from_utf8(text).unwrap()
}
