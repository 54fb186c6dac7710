//! `endpoints.json`: onion addresses and ingest strings.

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use undertone_wire::endpoint::{DeploymentId, Ingest, OnionAddress};

use crate::values::hex;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    onions: Vec<Onion>,
    ingests: Vec<Taken>,
    refused: Vec<Refused>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Onion {
    name: String,
    text: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    public_key: String,
    #[serde(default)]
    deployment_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    name: String,
    text: String,
    #[serde(default)]
    deployment_id: String,
    #[serde(default)]
    endpoints: Vec<Written>,
    /// The string as it is written anew.
    #[serde(default)]
    written: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    onion: String,
    port: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    text: String,
    reason: String,
}

#[test]
fn endpoints() {
    crate::check("endpoints.json", |vectors: &mut Vectors| {
        vectors.onions.iter_mut().for_each(complete_onion);
        vectors.ingests.iter_mut().for_each(complete_ingest);
        for case in &vectors.refused {
            let error = case.text.parse::<Ingest>().expect_err(&case.name);
            assert_eq!(format!("{error:?}"), case.reason, "{}", case.name);
        }
    });
}

fn complete_onion(case: &mut Onion) {
    let onion: OnionAddress = case.text.parse().expect(&case.name);
    let label = onion.as_str().trim_end_matches(".onion").to_ascii_uppercase();
    case.address = onion.to_string();
    case.public_key = hex(&BASE32_NOPAD.decode(label.as_bytes()).unwrap()[..32]);
    case.deployment_id = DeploymentId::of(&onion).to_string();
}

fn complete_ingest(case: &mut Taken) {
    let ingest: Ingest = case.text.parse().expect(&case.name);
    case.deployment_id = ingest.deployment.to_string();
    case.written = ingest.to_string();
    case.endpoints = ingest
        .endpoints
        .into_iter()
        .map(|endpoint| Written { onion: endpoint.onion.to_string(), port: endpoint.port })
        .collect();
    assert_eq!(case.written.parse::<Ingest>().unwrap().to_string(), case.written);
}
