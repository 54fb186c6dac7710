//! A parcel: a batch sealed for one deployment and padded to one size. `docs/wire.md` draws it.
//!
//! Five fields of constant length, the payload, zeros. The signature covers everything but the
//! age, which is counted when the parcel is sent; what it was sealed for isn't in it, so a parcel
//! tells nobody else where it belongs.

use std::fmt;

use crate::{
    batch::Payload,
    endpoint::DeploymentId,
    request::BODY_LENGTH,
    session::{SessionKey, SessionPublicKey},
};

/// The version of this layout; the first byte of every parcel.
pub const VERSION: u8 = 1;
/// The longest payload, in bytes.
pub const PAYLOAD_CAPACITY: usize = BODY_LENGTH - PAYLOAD;

const DOMAIN: &[u8] = b"undertone parcel 1\0";

// Where each field begins.
const AGE: usize = 1;
const PUBLIC_KEY: usize = 2;
const PARCEL_ID: usize = PUBLIC_KEY + 32;
const PAYLOAD_LENGTH: usize = PARCEL_ID + 16;
const SIGNATURE: usize = PAYLOAD_LENGTH + 2;
const PAYLOAD: usize = SIGNATURE + 64;

/// 16 random bytes by which a parcel is admitted once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParcelId(pub [u8; 16]);

/// How long a parcel waited before it was sent, in units of 10 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Age(pub u8);

/// A parcel ready to be sent, now or later, as often as it takes.
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel {
    body: Box<[u8; BODY_LENGTH]>,
}

/// What a verified parcel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsealed {
    /// Whose it is; the signature is verified.
    pub session: SessionPublicKey,
    /// Which it is.
    pub id: ParcelId,
    /// How long it waited; not covered by the signature.
    pub age: Age,
    /// The sealed batch, not decoded yet.
    pub payload: Payload,
}

/// What a parcel says whose signature nobody has checked: for who reads what it has sealed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// Whose it claims to be.
    pub session: SessionPublicKey,
    /// The batch, not decoded yet.
    pub payload: Payload,
}

/// Why bytes are no parcel of this deployment. A client is never told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// Not exactly [`BODY_LENGTH`] bytes.
    #[error("wrong length")]
    Length,
    /// Another version than [`VERSION`].
    #[error("unknown version")]
    Version,
    /// The payload's length goes past the parcel's end.
    #[error("payload longer than the parcel")]
    PayloadLength,
    /// Something else than zeros after the payload.
    #[error("padding that is not zero")]
    Padding,
    /// Signed by another key, for another deployment, or altered.
    #[error("signature does not verify")]
    Signature,
}

impl Age {
    /// One unit.
    pub const UNIT: std::time::Duration = std::time::Duration::from_secs(600);

    /// The whole units in `waited`; what is over the byte's range counts as its end.
    pub fn of(waited: std::time::Duration) -> Self {
        Self(u8::try_from(waited.as_secs() / Self::UNIT.as_secs()).unwrap_or(u8::MAX))
    }
}

impl Parcel {
    /// Seals `payload` under `session`'s key for `deployment`.
    pub fn seal(
        session: &SessionKey,
        id: ParcelId,
        deployment: &DeploymentId,
        payload: &Payload,
    ) -> Self {
        let bytes = payload.as_bytes();
        let mut body = Box::new([0; BODY_LENGTH]);
        body[0] = VERSION;
        body[PUBLIC_KEY..PARCEL_ID].copy_from_slice(session.public().as_bytes());
        body[PARCEL_ID..PAYLOAD_LENGTH].copy_from_slice(&id.0);
        // A `Payload` is never longer than the capacity, which fits in 16 bits.
        body[PAYLOAD_LENGTH..SIGNATURE].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
        body[SIGNATURE..PAYLOAD]
            .copy_from_slice(&session.sign(&signed_message(id, deployment, bytes)));
        body[PAYLOAD..PAYLOAD + bytes.len()].copy_from_slice(bytes);
        Self { body }
    }

    /// A parcel that was kept as a request body: whole, sealed for `deployment`, of no age yet.
    ///
    /// # Errors
    /// Those of [`unseal`].
    pub fn kept(body: &[u8], deployment: &DeploymentId) -> Result<Self, UnsealError> {
        unseal(body, deployment)?;
        let mut body = Box::new(field(body, 0));
        body[AGE] = 0;
        Ok(Self { body })
    }

    /// Whose it is.
    pub fn session(&self) -> SessionPublicKey {
        SessionPublicKey::from(field(&self.body[..], PUBLIC_KEY))
    }

    /// Which parcel this is.
    pub fn id(&self) -> ParcelId {
        ParcelId(field(&self.body[..], PARCEL_ID))
    }

    /// The request body that delivers this parcel, `age` old.
    pub fn body(&self, age: Age) -> [u8; BODY_LENGTH] {
        let mut body = *self.body;
        body[AGE] = age.0;
        body
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({:?})", self.id())
    }
}

impl fmt::Debug for ParcelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Opens a request body: checks length, version and padding, and the signature for `deployment`.
///
/// # Errors
/// [`UnsealError`], cheapest check first.
pub fn unseal(body: &[u8], deployment: &DeploymentId) -> Result<Unsealed, UnsealError> {
    let payload = payload(body)?;
    let session = SessionPublicKey::from(field(body, PUBLIC_KEY));
    let id = ParcelId(field(body, PARCEL_ID));
    let signature = field(body, SIGNATURE);
    if !session.verifies(&signed_message(id, deployment, payload), &signature) {
        return Err(UnsealError::Signature);
    }
    Ok(Unsealed { session, id, age: Age(body[AGE]), payload: Payload::received(payload) })
}

/// Reads a request body whose signature isn't checked.
///
/// # Errors
/// [`UnsealError`], but never for the signature.
pub fn read_unverified(body: &[u8]) -> Result<Unverified, UnsealError> {
    let payload = Payload::received(payload(body)?);
    Ok(Unverified { session: SessionPublicKey::from(field(body, PUBLIC_KEY)), payload })
}

/// The payload of a body that has the form of a parcel.
fn payload(body: &[u8]) -> Result<&[u8], UnsealError> {
    if body.len() != BODY_LENGTH {
        return Err(UnsealError::Length);
    }
    if body[0] != VERSION {
        return Err(UnsealError::Version);
    }
    let length = usize::from(u16::from_be_bytes(field(body, PAYLOAD_LENGTH)));
    let rest = &body[PAYLOAD..];
    let (payload, padding) = rest.split_at_checked(length).ok_or(UnsealError::PayloadLength)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(UnsealError::Padding);
    }
    Ok(payload)
}

/// What the signature covers: domain, version, parcel ID, deployment, payload. All but the last are
/// of constant length, so no two parcels share a message.
fn signed_message(id: ParcelId, deployment: &DeploymentId, payload: &[u8]) -> Vec<u8> {
    [DOMAIN, &[VERSION], &id.0, deployment.as_bytes(), payload].concat()
}

/// The `N` bytes at `start`; the caller has checked the length.
fn field<const N: usize>(body: &[u8], start: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&body[start..start + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    fn sealed() -> (Parcel, SessionKey, DeploymentId) {
        let session = SessionKey::from_seed(&[1; 32]);
        let deployment = DeploymentId::from([2; 32]);
        let payload =
            Payload::encode(&[Point::new("a.b.count").field("count", 1_i64).at(0)]).unwrap();
        (Parcel::seal(&session, ParcelId([3; 16]), &deployment, &payload), session, deployment)
    }

    #[test]
    fn what_is_sealed_is_unsealed() {
        let (parcel, session, deployment) = sealed();
        let unsealed = unseal(&parcel.body(Age(9)), &deployment).unwrap();
        assert_eq!(unsealed.session, session.public());
        assert_eq!(unsealed.id, ParcelId([3; 16]));
        assert_eq!(unsealed.age, Age(9));
        assert_eq!(unsealed.payload.decode().unwrap()[0].measurement, "a.b.count");
        let unverified = read_unverified(&parcel.body(Age(9))).unwrap();
        assert_eq!((unverified.session, unverified.payload), (session.public(), unsealed.payload));
    }

    #[test]
    fn every_flipped_bit_but_those_of_the_age_is_noticed() {
        let (parcel, _, deployment) = sealed();
        let body = parcel.body(Age(0));
        for bit in 0..body.len() * 8 {
            let mut altered = body;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&altered, &deployment).is_ok(), bit / 8 == AGE, "bit {bit}");
        }
    }

    #[test]
    fn a_parcel_for_one_deployment_is_refused_at_another() {
        let (parcel, ..) = sealed();
        let other = DeploymentId::from([4; 32]);
        assert_eq!(unseal(&parcel.body(Age(0)), &other), Err(UnsealError::Signature));
    }

    #[test]
    fn every_other_length_is_refused() {
        let (parcel, _, deployment) = sealed();
        let body = parcel.body(Age(0));
        for length in [0, 1, BODY_LENGTH - 1] {
            assert_eq!(unseal(&body[..length], &deployment), Err(UnsealError::Length));
        }
        let longer = [&body[..], &[0]].concat();
        assert_eq!(unseal(&longer, &deployment), Err(UnsealError::Length));
    }

    #[test]
    fn an_age_is_whole_units_and_never_wraps() {
        let seconds = std::time::Duration::from_secs;
        assert_eq!(Age::of(seconds(599)), Age(0));
        assert_eq!(Age::of(seconds(600)), Age(1));
        assert_eq!(Age::of(seconds(u64::MAX)), Age(255));
    }
}
