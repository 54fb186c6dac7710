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

/// The same for sessions of clients that sign nothing.
const CLIENT_DOMAIN: &[u8] = b"undertone client session 1\0";

/// More stack than Ed25519 and SHA-512 take, in bytes, also without optimisation.
const STACK: usize = 32 * 1_024;

/// A session's private key. Wiped from memory when dropped; neither shown nor serialised.
///
/// It stands in one place, however often this is moved.
pub struct SessionKey(Box<SigningKey>);

/// A session's public key, as it stands in a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionPublicKey([u8; 32]);

/// What a session is called in the database: a UUID (RFC 9562) whose version says whose it is.
///
/// - 8: a verified session, made of the first 16 bytes of SHA-256 over a domain string and its public key;
/// - 4: nobody's in particular: drawn by a proxy for a circuit whose client signs nothing;
/// - 5: a client's that signs nothing, made of its own name for it ([`SessionId::of_client`]).
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
    /// That of a circuit whose client signs nothing, of 16 random bytes.
    pub fn of_circuit(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid())
    }

    /// That of a client that signs nothing and has a name for its session: of SHA-256 over a domain string,
    /// a secret of the proxy and the name (not of SHA-1, as UUIDs of version 5 else are). 122 bits of it are
    /// told, too few to go on hashing from.
    pub fn of_client(secret: &[u8; 32], name: &str) -> Self {
        let hash = Sha256::new().chain_update(CLIENT_DOMAIN).chain_update(secret);
        let hash = hash.chain_update(name).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(uuid::Builder::from_sha1_bytes(bytes).into_uuid())
    }

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
    fn s3_an_id_tells_by_its_version_whether_anybody_signed() {
        let of_client = SessionId::of_client(&[1; 32], "mine");
        assert_eq!(of_client, SessionId::of_client(&[1; 32], "mine"));
        assert_ne!(of_client, SessionId::of_client(&[1; 32], "yours"));
        assert_ne!(of_client, SessionId::of_client(&[2; 32], "mine"));
        // Whatever bytes they are made of.
        for byte in 0..=255 {
            let verified = SessionPublicKey::from([byte; 32]).id();
            let versions = [
                verified.0.get_version_num(),
                SessionId::of_circuit([byte; 16]).0.get_version_num(),
                SessionId::of_client(&[byte; 32], &verified.to_string()).0.get_version_num(),
            ];
            assert_eq!(versions, [8, 4, 5]);
        }
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
