//! The session that everything is reported under: a key pair in memory, new at every start.

use rand::Rng;
use undertone_wire::{
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Parcel, ParcelId},
    session::{SessionId, SessionKey},
};

use crate::{clock::Randomness, transport::Isolation};

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
    pub(crate) fn new(deployment: DeploymentId, mut randomness: Randomness) -> Self {
        let mut seed = [0; 32];
        randomness.fill_bytes(&mut seed);
        let key = SessionKey::from_seed(&seed);
        seed.fill(0);
        let mut isolation = [0; 16];
        randomness.fill_bytes(&mut isolation);
        Self { key, deployment, isolation: Isolation(isolation), randomness }
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
