//! The onion service's identity as it comes from elsewhere and goes into a backup: bytes to key, key to bytes.
//!
//! Pure: no files, no keystore (`identity/store.rs` has those), no Tor. What a key is kept in is recognized by its
//! content. Nothing here shows a key: `Debug` tells the beginning of the address, errors quote nothing, and what
//! held a key is overwritten when it is dropped.

mod files;
mod read;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;

use curve25519_dalek::{EdwardsPoint, Scalar, traits::IsIdentity};
use undertone_wire::endpoint::OnionAddress;
use zeroize::Zeroizing;

pub use self::{
    files::read_file,
    read::{KeyError, Seeds, read},
    store::{Identity, Imported},
};

/// An expanded Ed25519 secret key: a scalar and what signatures are derived with.
pub const SECRET_LENGTH: usize = 64;
/// C tor begins its file `hs_ed25519_secret_key` with this.
pub const C_TOR_HEADER: &[u8; 32] = b"== ed25519v1-secret: type0 ==\0\0\0";
/// Under this name TorfluxDB takes its key from the environment.
pub const TORFLUXDB_VARIABLE: &str = "TORFLUXDB_ONIONKEY";

/// The secret key of an onion service, which is its address: who has it can be that service.
pub struct IdentityKey {
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
    address: OnionAddress,
}

impl IdentityKey {
    /// None if these bytes are no key: the scalar is zero, or larger than any of Ed25519.
    pub(crate) fn new(secret: Zeroizing<[u8; SECRET_LENGTH]>) -> Option<Self> {
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(&secret[..32]);
        if scalar[31] & 0x80 != 0 {
            return None;
        }
        let scalar = Zeroizing::new(Scalar::from_bytes_mod_order(*scalar));
        let public = EdwardsPoint::mul_base(&scalar);
        let address = OnionAddress::of_key(public.compress().as_bytes());
        (!public.is_identity()).then_some(Self { secret, address })
    }

    /// The address of the service that has this key.
    pub fn address(&self) -> &OnionAddress {
        &self.address
    }

    /// The expanded secret key.
    #[cfg(feature = "tor")]
    pub(crate) fn secret(&self) -> &Zeroizing<[u8; SECRET_LENGTH]> {
        &self.secret
    }

    /// What C tor's `hs_ed25519_secret_key` holds.
    pub fn to_c_tor(&self) -> Zeroizing<Vec<u8>> {
        let mut file = Zeroizing::new(Vec::with_capacity(C_TOR_HEADER.len() + SECRET_LENGTH));
        file.extend_from_slice(C_TOR_HEADER);
        file.extend_from_slice(&*self.secret);
        file
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityKey").field("address", &self.address).finish_non_exhaustive()
    }
}
