//! What the ingest side sees of an agent: parcels as they arrive, unsealed, and what can be known of a session.

mod facts;
mod session;

use undertone_wire::{
    endpoint::DeploymentId,
    parcel::unseal,
    request::{BODY_LENGTH, REQUEST_LENGTH},
};

pub use facts::{Fact, Names};
pub use session::{PERIODS, Session, sessions};

/// One request that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// When, in seconds since the crowd's beginning.
    pub at: f64,
    /// Which circuit it came through.
    pub circuit: u128,
    /// The request's length, in bytes.
    pub length: usize,
    /// Whose it says that it is.
    pub session: u128,
    /// The parcel's ID.
    pub parcel: u128,
    /// How long it says that it waited, in units of ten minutes.
    pub age: u8,
    /// The numbers in it.
    pub facts: Vec<Fact>,
    /// Not seen, but known here: which of its agent's sessions it belongs to, in order.
    pub life: u32,
}

impl Arrival {
    /// What a request says to a proxy of this deployment; none if it's no parcel.
    pub fn read(
        at: f64,
        circuit: u128,
        request: &[u8],
        deployment: &DeploymentId,
        names: &mut Names,
    ) -> Option<Self> {
        let body = request.get(REQUEST_LENGTH - BODY_LENGTH..)?;
        let unsealed = unseal(body, deployment).ok()?;
        Some(Self {
            at,
            circuit,
            length: request.len(),
            session: leading(unsealed.session.as_bytes()),
            parcel: u128::from_be_bytes(unsealed.id.0),
            age: unsealed.age.0,
            facts: names.facts(&unsealed.payload.decode().ok()?),
            life: 0,
        })
    }
}

fn leading(bytes: &[u8; 32]) -> u128 {
    bytes[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}
