//! The session that everything is reported under: a key pair in memory, new at every start.
//!
//! Its key is drawn from the operating system, not from a generator whose state stays, and is gone
//! from memory with it (invariant P3).

use rand::Rng;
use undertone_wire::{
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Parcel, ParcelId},
    session::{SessionId, SessionKey},
};
use zeroize::Zeroizing;

use crate::{
    clock::{Clock, Randomness},
    transport::Isolation,
};

/// A session with what belongs to it alone.
#[derive(Debug)]
pub(crate) struct Session {
    key: SessionKey,
    deployment: DeploymentId,
    /// Keeps this session's circuits apart from all others.
    pub(crate) isolation: Isolation,
    randomness: Randomness,
}

impl Session {
    pub(crate) fn new(deployment: DeploymentId, clock: &Clock) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        clock.fill_secret(&mut seed);
        let key = SessionKey::from_seed(&seed);
        let mut randomness = clock.randomness();
        let isolation = Isolation::random(&mut randomness);
        Self { key, deployment, isolation, randomness }
    }

    /// The tag under which this session stands in the database.
    pub(crate) fn id(&self) -> SessionId {
        self.key.id()
    }

    /// Seals a payload under a new parcel ID.
    pub(crate) fn seal(&mut self, payload: &Payload) -> Parcel {
        let mut id = [0; 16];
        self.randomness.fill_bytes(&mut id);
        Parcel::seal(&self.key, ParcelId(id), &self.deployment, payload)
    }
}
