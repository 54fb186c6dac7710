//! `parcels.json`: sealed parcels, the request that delivers them, and what is refused.

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use undertone_wire::batch::Payload;
use undertone_wire::endpoint::{DeploymentId, OnionAddress};
use undertone_wire::parcel::{Age, Parcel, ParcelId, unseal};
use undertone_wire::request::{BODY_LENGTH, REQUEST_LENGTH, push};
use undertone_wire::session::SessionKey;

use crate::values::{array, bytes, hex};

/// Where the signature stands in a body.
const SIGNATURE: std::ops::Range<usize> = 52..116;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    sealed: Vec<Sealed>,
    refused: Vec<Refused>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    name: String,
    seed: String,
    parcel_id: String,
    age: u8,
    /// With it, the deployment is that of this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    onion: Option<String>,
    #[serde(default)]
    deployment_id: String,
    payload: String,
    #[serde(default)]
    public_key: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    signature: String,
    /// The head of the request that takes it to the onion address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    /// Without the zeros at its end.
    #[serde(default)]
    body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    /// The sealed parcel that this was, by name.
    of: String,
    length: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    /// The deployment at which it arrives, if it isn't that parcel's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployment_id: Option<String>,
    reason: String,
    /// Whether a verifier that follows RFC 8032 without being strict takes the signature.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lax: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    at: usize,
    bytes: String,
}

#[test]
fn parcels() {
    crate::check("parcels.json", |vectors: &mut Vectors| {
        vectors.sealed.iter_mut().for_each(complete);
        for case in &vectors.refused {
            let origin = vectors.sealed.iter().find(|sealed| sealed.name == case.of).unwrap();
            let deployment = case.deployment_id.as_ref().unwrap_or(&origin.deployment_id);
            let error = unseal(&altered(origin, case), &deployment.parse().unwrap());
            assert_eq!(format!("{:?}", error.expect_err(&case.name)), case.reason, "{}", case.name);
        }
    });
}

fn complete(case: &mut Sealed) {
    if let Some(onion) = &case.onion {
        let onion: OnionAddress = onion.parse().unwrap();
        case.deployment_id = DeploymentId::of(&onion).to_string();
        case.head = Some(head(&onion));
    }
    let session = SessionKey::from_seed(&array(&case.seed));
    let (id, age) = (ParcelId(array(&case.parcel_id)), Age(case.age));
    let deployment: DeploymentId = case.deployment_id.parse().unwrap();
    let payload = payload(&bytes(&case.payload));

    let body = Parcel::seal(&session, id, &deployment, &payload).body(age);
    let unsealed = unseal(&body, &deployment).expect(&case.name);
    assert_eq!(unsealed.session, session.public(), "{}", case.name);
    assert_eq!((unsealed.id, unsealed.age), (id, age), "{}", case.name);
    assert_eq!(unsealed.payload, payload, "{}", case.name);

    case.public_key = hex(session.public().as_bytes());
    case.session_id = session.id().to_string();
    case.signature = hex(&body[SIGNATURE]);
    let end = body.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    case.body = hex(&body[..end]);
}

fn altered(origin: &Sealed, case: &Refused) -> Vec<u8> {
    let mut body = bytes(&origin.body);
    body.resize(BODY_LENGTH, 0);
    for change in &case.changes {
        let bytes = bytes(&change.bytes);
        body[change.at..change.at + bytes.len()].copy_from_slice(&bytes);
    }
    body.resize(case.length, 0);
    body
}

/// The request's head as it is written: that hyper does so is for the agent's tests to show.
fn head(onion: &OnionAddress) -> String {
    let request = push(onion, ());
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head += "\r\n";
    assert_eq!(head.len() + BODY_LENGTH, REQUEST_LENGTH);
    head
}

/// Any bytes as a payload. Only what was sealed can be one, so this seals them, by hand.
pub(crate) fn payload(bytes: &[u8]) -> Payload {
    let key = SigningKey::from_bytes(&[7; 32]);
    let deployment = DeploymentId::from([8; 32]);
    let id = [9; 16];
    let message = [b"undertone parcel 1\0\x01", &id[..], deployment.as_bytes(), bytes].concat();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut body = [&[1, 0], &key.verifying_key().to_bytes()[..], &id, &length].concat();
    body.extend(key.sign(&message).to_bytes());
    body.extend(bytes);
    body.resize(BODY_LENGTH, 0);
    unseal(&body, &deployment).expect("sealed by hand").payload
}
