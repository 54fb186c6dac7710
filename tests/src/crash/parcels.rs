//! What is sent to a proxy under test, and what must be known of it afterwards.

use std::collections::BTreeMap;

use anyhow::Result;
use undertone_wire::{
    Point,
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Age, Parcel, ParcelId},
    session::SessionKey,
};

/// What the proxy under test admits.
pub const SCHEMA: &str = "namespace = \"crash\"\ninterval_seconds = 10\n\n[[measurement]]\nname = \"things\"\n\
    kind = \"counter\"\ndescription = \"Things.\"\n";
/// The one measurement of [`SCHEMA`], as it is stored.
pub const MEASUREMENT: &str = "crash.things.count";

/// A parcel, always of the same bytes.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The circuit that it comes on: each session has its own.
    pub circuit: u8,
    /// The session's ID.
    pub session: String,
    /// What its one point counts; none: chaff, or refused.
    pub delta: Option<i64>,
    /// Points of it that are refused.
    pub refused: u64,
    /// The request's body.
    pub body: Vec<u8>,
}

/// What a proxy answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 204.
    Taken,
    /// 503: keep it.
    Undecided,
    /// The connection ended before.
    None,
}

/// Four parcels of four sessions, numbered from `first`: two with a point, one of chaff, one that is refused.
pub fn four(first: u8, deployment: &DeploymentId) -> Result<Vec<Sealed>> {
    // Two digits: more are refused.
    let few = i64::from(first % 97);
    let counted =
        |delta: i64| Point::new(MEASUREMENT).field("count", delta).field("delta", delta).at(0);
    let secret = Point::new("crash.secret.count").field("count", 1_i64).field("delta", 1_i64).at(0);
    let kinds: [(Vec<Point>, Option<i64>, u64); 4] = [
        (vec![counted(few)], Some(few), 0),
        (Vec::new(), None, 0),
        (vec![secret], None, 1),
        (vec![counted(10 * few)], Some(10 * few), 0),
    ];
    let sealed = kinds.into_iter().zip(first..).map(|((points, delta, refused), number)| {
        let key = SessionKey::from_seed(&[number; 32]);
        let parcel =
            Parcel::seal(&key, ParcelId([number; 16]), deployment, &Payload::encode(&points)?);
        let (session, body) = (key.id().to_string(), parcel.body(Age(0)).to_vec());
        Ok(Sealed { circuit: number, session, delta, refused, body })
    });
    sealed.collect()
}

/// Sessions, and what was counted under each.
pub fn sums(parcels: &[Sealed]) -> BTreeMap<String, Vec<i64>> {
    let counted =
        parcels.iter().filter_map(|parcel| Some((parcel.session.clone(), vec![parcel.delta?])));
    counted.collect()
}
