//! Which key some bytes are, whatever it is kept in.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{C_TOR_HEADER, IdentityKey, SECRET_LENGTH, TORFLUXDB_VARIABLE};

/// A key from before its expansion (RFC 8032 calls it the private key).
const SEED_LENGTH: usize = 32;
/// What C tor begins all files of keys with.
const C_TOR_MARK: &[u8] = b"== ed25519v1-";
/// How C tor's control port writes a key.
const CONTROL_PORT_MARK: &str = "ED25519-V3:";
/// No way of keeping a key is longer.
pub(super) const LONGEST: usize = 1_024;

/// What is done with an Ed25519 seed, which is no key of an onion service yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeds {
    /// It is refused: taken for a key it would give another address than was meant.
    Refused,
    /// The bytes are a seed: 32 bytes, or 64 of which the second half is the public key.
    Expanded,
}

/// Why some bytes are no identity key. Tells nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is nothing.
    #[error("there is no key: it is empty")]
    Empty,
    /// Neither text nor as long as a key.
    #[error(
        "this is no key in a format that is known: 64 bytes, the same in hexadecimal (TorfluxDB's \
         `TORFLUXDB_ONIONKEY`), C tor's `hs_ed25519_secret_key`, or `ED25519-V3:` and base64"
    )]
    Unknown,
    /// Hexadecimal or base64 of another length.
    #[error(
        "a key has {SECRET_LENGTH} bytes, this text stands for {0}: part of it is missing or too much"
    )]
    Length(usize),
    /// C tor's file, cut off or with something behind it.
    #[error("this begins as C tor's `hs_ed25519_secret_key`, which has 96 bytes; this has {0}")]
    CTorLength(usize),
    /// C tor's file of another key.
    #[error(
        "this is a file of C tor's, but not the secret key of an onion service: take \
         `hs_ed25519_secret_key` from its `HiddenServiceDir`"
    )]
    OtherCTorFile,
    /// arti's or OpenSSH's format.
    #[error(
        "this is a key as OpenSSH and arti's keystore write it; `key backup` of the proxy that has it \
         makes a file that can be imported"
    )]
    OpenSsh,
    /// 32 bytes.
    #[error(
        "this is an Ed25519 seed, not an expanded key: if an onion service was made of it, say `--seed`"
    )]
    Seed,
    /// A seed and its public key.
    #[error(
        "this is an Ed25519 seed with its public key, as Go and libsodium keep it, not an expanded key: if \
         an onion service was made of it, say `--seed`"
    )]
    SeedAndPublic,
    /// `--seed`, and something else.
    #[error("this is no Ed25519 seed, which has 32 bytes, or 64 with the public key it belongs to")]
    NotSeed,
    /// 64 bytes that no expansion gives.
    #[error("these 64 bytes are no expanded Ed25519 secret key: bits are set that none has")]
    NotExpanded,
}

/// Reads a key, in whatever format it is.
///
/// # Errors
/// Says what it is instead, as far as that can be seen.
pub fn read(bytes: &[u8], seeds: Seeds) -> Result<IdentityKey, KeyError> {
    if bytes.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some(secret) = bytes.strip_prefix(C_TOR_HEADER) {
        let secret = secret.try_into().map_err(|_| KeyError::CTorLength(bytes.len()))?;
        // C tor takes any scalar, and ours are reduced.
        return match seeds {
            Seeds::Expanded => Err(KeyError::NotSeed),
            Seeds::Refused => key(secret).ok_or(KeyError::NotExpanded),
        };
    }
    if bytes.starts_with(C_TOR_MARK) {
        return Err(KeyError::OtherCTorFile);
    }
    match text(bytes)? {
        Some(decoded) => raw(&decoded, seeds).unwrap_or(Err(KeyError::Length(decoded.len()))),
        None => raw(bytes, seeds).unwrap_or(Err(KeyError::Unknown)),
    }
}

/// Bytes that are nothing but a key; none if there are too many or too few.
fn raw(bytes: &[u8], seeds: Seeds) -> Option<Result<IdentityKey, KeyError>> {
    let read = match (bytes.len(), seeds) {
        (SEED_LENGTH, Seeds::Refused) => Err(KeyError::Seed),
        (SEED_LENGTH, Seeds::Expanded) => expanded(bytes).ok_or(KeyError::NotSeed),
        (SECRET_LENGTH, _) => {
            let (seed, public) = bytes.split_at(SEED_LENGTH);
            // An expanded key whose second half is the public key of its first is none that anybody made.
            match (expanded(seed).filter(|key| key.has(public)), seeds) {
                (Some(key), Seeds::Expanded) => Ok(key),
                (Some(_), Seeds::Refused) => Err(KeyError::SeedAndPublic),
                (None, Seeds::Expanded) => Err(KeyError::NotSeed),
                (None, Seeds::Refused) if is_clamped(seed) => {
                    bytes.try_into().ok().and_then(key).ok_or(KeyError::NotExpanded)
                }
                (None, Seeds::Refused) => Err(KeyError::NotExpanded),
            }
        }
        _ => return None,
    };
    Some(read)
}

/// What a text stands for; none if it isn't one that stands for a key.
fn text(bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.starts_with("-----BEGIN") {
        return Err(KeyError::OpenSsh);
    }
    // As in a file of variables for Docker or systemd.
    let assigned = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let text = match assigned.strip_prefix(TORFLUXDB_VARIABLE).map(str::trim_start) {
        Some(rest) => rest.strip_prefix('=').ok_or(KeyError::Unknown)?.trim(),
        None => text,
    };
    let text = text.trim_matches(['"', '\'']);
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some(base64) = text.strip_prefix(CONTROL_PORT_MARK) {
        let padded = base64.ends_with('=');
        let encoding = if padded { BASE64 } else { BASE64_NOPAD };
        let decoded = encoding.decode(base64.as_bytes()).map_err(|_| KeyError::Unknown)?;
        return Ok(Some(Zeroizing::new(decoded)));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        Ok(decoded) if digits => Ok(Some(Zeroizing::new(decoded))),
        _ if digits => Err(KeyError::Length(text.len() / 2)),
        _ => Ok(None),
    }
}

/// The key that RFC 8032 makes of a seed.
fn expanded(seed: &[u8]) -> Option<IdentityKey> {
    let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
    secret.copy_from_slice(&Sha512::digest(seed));
    secret[0] &= 0b1111_1000;
    secret[31] &= 0b0111_1111;
    secret[31] |= 0b0100_0000;
    IdentityKey::new(secret)
}

fn key(secret: [u8; SECRET_LENGTH]) -> Option<IdentityKey> {
    IdentityKey::new(Zeroizing::new(secret))
}

/// Whether these bits are as every expansion sets them.
fn is_clamped(scalar: &[u8]) -> bool {
    scalar[0] & 0b0000_0111 == 0 && scalar[31] & 0b1100_0000 == 0b0100_0000
}

impl IdentityKey {
    /// Whether this is its public key.
    fn has(&self, public: &[u8]) -> bool {
        let public = public.try_into().map(undertone_wire::endpoint::OnionAddress::of_key);
        public.is_ok_and(|address| address == *self.address())
    }
}
