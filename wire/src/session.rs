//! A session: an Ed25519 key pair that lives in memory only, and the ID that follows from it.
//!
//! The ID is a hash of the public key, so nobody can report under it without the private key and
//! nobody can guess it.

use std::{fmt, hint::black_box};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Keeps a session's hash apart from every other hash of the same bytes.
const ID_DOMAIN: &[u8] = b"undertone session 1\0";

/// More stack than Ed25519 and SHA-512 take, in bytes, also without optimisation.
const STACK: usize = 32 * 1_024;

/// A session's private key. Wiped from memory when dropped; neither shown nor serialised.
///
/// It stands in one place, however often this is moved.
pub struct SessionKey(Box<SigningKey>);

/// A session's public key, as it stands in a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionPublicKey([u8; 32]);

/// What a session is called in the database: a UUID of version 8 (RFC 9562) made of the first 16
/// bytes of SHA-256 over a domain string and the public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionKey {
    /// The key pair of a 32-byte seed, which must come from a cryptographic generator.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(without_traces(|| Box::new(SigningKey::from_bytes(seed))))
    }

    /// The public half.
    pub fn public(&self) -> SessionPublicKey {
        SessionPublicKey(self.0.verifying_key().to_bytes())
    }

    /// The session's ID.
    pub fn id(&self) -> SessionId {
        self.public().id()
    }

    /// Signs what a parcel says (RFC 8032).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        without_traces(|| self.0.sign(message).to_bytes())
    }
}

/// Does what leaves copies of a key on the stack (as SHA-512 does of all that it reads), and overwrites them.
fn without_traces<T>(work: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn apart<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    fn overwrite() {
        black_box(&mut [0_u8; STACK]);
    }
    let done = apart(work);
    // Its frame begins where the one before began.
    overwrite();
    done
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionPublicKey {
    /// The ID of the session that holds this key.
    pub fn id(&self) -> SessionId {
        let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(self.0).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        SessionId(Uuid::new_v8(bytes))
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key signed `message`. Strict: weak keys and signatures that could have been
    /// altered are refused.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl From<[u8; 32]> for SessionPublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionPublicKey({})", self.id())
    }
}

impl SessionId {
    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<[u8; 16]> for SessionId {
    /// An ID that was kept somewhere.
    fn from(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p3_an_id_follows_from_its_key_alone() {
        let key = SessionKey::from_seed(&[7; 32]);
        assert_eq!(key.id(), SessionKey::from_seed(&[7; 32]).id());
        assert_ne!(key.id(), SessionKey::from_seed(&[8; 32]).id());
        assert_eq!(key.id(), SessionPublicKey::from(*key.public().as_bytes()).id());
    }

    #[test]
    fn an_id_is_a_version_8_uuid() {
        let id = SessionKey::from_seed(&[7; 32]).id();
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.to_string().len(), 36);
    }

    #[test]
    fn p3_debug_shows_no_private_key() {
        assert_eq!(format!("{:?}", SessionKey::from_seed(&[7; 32])), "SessionKey(…)");
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element: with it, anybody's signature of zeros would pass a lax check.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!SessionPublicKey::from(neutral).verifies(b"anything", &signature));
    }
}
