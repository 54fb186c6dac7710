//! Where parcels go: onion addresses, and the deployment that they are sealed for.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

/// The virtual port of an onion service whose address names none.
pub const DEFAULT_PORT: u16 = 80;

/// Characters of a version 3 address before `.onion`.
const LABEL_LENGTH: usize = 56;
const SUFFIX: &str = ".onion";
const VERSION: u8 = 3;

/// A version 3 onion address, checksum verified (rend-spec-v3, section 6).
///
/// It says which service a program reports to, so `Debug` shows only its beginning.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnionAddress(String);

/// Onion service and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The onion service.
    pub onion: OnionAddress,
    /// Its virtual port.
    pub port: u16,
}

/// What a parcel is sealed for: a parcel of one deployment is refused by every other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeploymentId([u8; 32]);

/// Everything an agent must know of an ingest side, in one string:
/// `ONION[:PORT][,ONION[:PORT]…][#DEPLOYMENT]`.
///
/// `DEPLOYMENT` is 64 hexadecimal digits; without it there is one address, and the deployment is
/// [`DeploymentId::of`] that address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    /// Which deployment parcels are sealed for.
    pub deployment: DeploymentId,
    /// Where its proxies are; at least one.
    pub endpoints: Vec<Endpoint>,
}

/// Why a text names no ingest side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text ends in something else than `.onion`.
    #[error("an onion address ends in `.onion`")]
    NotOnion,
    /// A version 2 address, or a typing error.
    #[error(
        "a version 3 onion address has {LABEL_LENGTH} characters before `.onion`, this one has {0}"
    )]
    Length(usize),
    /// A character that base32 does not have.
    #[error(
        "an onion address has only the letters a to z and the digits 2 to 7; see character {0}"
    )]
    Character(usize),
    /// The checksum inside the address does not match: a typing error.
    #[error("the onion address's checksum does not match: at least one character is wrong")]
    Checksum,
    /// Another version than 3.
    #[error("this onion address is of version {0}; only version 3 exists today")]
    Version(u8),
    /// Not a number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Not 64 hexadecimal digits.
    #[error("a deployment ID is 64 hexadecimal digits")]
    Deployment,
    /// Several addresses, and nothing that says which deployment they belong to.
    #[error(
        "several onion addresses need their deployment ID: add `#` and its 64 hexadecimal digits"
    )]
    DeploymentMissing,
}

impl OnionAddress {
    /// The address, in lower case, with `.onion`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of the service whose identity has this public key (Ed25519, compressed).
    pub fn of_key(public_key: &[u8; 32]) -> Self {
        let mut bytes = public_key.to_vec();
        bytes.extend(checksum(public_key, VERSION));
        bytes.push(VERSION);
        Self(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase() + SUFFIX)
    }
}

/// The first two bytes of a digest, as the address holds them.
fn checksum(public_key: &[u8], version: u8) -> [u8; 2] {
    let digest = Sha3_256::new()
        .chain_update(b".onion checksum")
        .chain_update(public_key)
        .chain_update([version])
        .finalize();
    [digest[0], digest[1]]
}

impl FromStr for OnionAddress {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let address = text.trim().to_ascii_lowercase();
        let label = address.strip_suffix(SUFFIX).ok_or(EndpointError::NotOnion)?;
        if let Some(position) = label.chars().position(|c| !matches!(c, 'a'..='z' | '2'..='7')) {
            return Err(EndpointError::Character(position + 1));
        }
        if label.len() != LABEL_LENGTH {
            return Err(EndpointError::Length(label.len()));
        }
        let bytes = BASE32_NOPAD
            .decode(label.to_ascii_uppercase().as_bytes())
            .map_err(|_| EndpointError::Checksum)?;
        let (public_key, written, version) = (&bytes[..32], &bytes[32..34], bytes[34]);
        if version != VERSION {
            return Err(EndpointError::Version(version));
        }
        if checksum(public_key, version) != *written {
            return Err(EndpointError::Checksum);
        }
        Ok(Self(address))
    }
}

impl fmt::Debug for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnionAddress({}…)", &self.0[..4])
    }
}

impl fmt::Display for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (onion, port) = match text.rsplit_once(':') {
            Some((onion, port)) => (onion, read_port(port).ok_or(EndpointError::Port)?),
            None => (text, DEFAULT_PORT),
        };
        Ok(Self { onion: onion.parse()?, port })
    }
}

/// A port in digits alone: Rust would take a `+` before them.
fn read_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == DEFAULT_PORT {
            write!(f, "{}", self.onion)
        } else {
            write!(f, "{}:{}", self.onion, self.port)
        }
    }
}

impl DeploymentId {
    /// The ID of the deployment that consists of one onion service: SHA-256 of its address as
    /// written, lower case and with `.onion`.
    pub fn of(onion: &OnionAddress) -> Self {
        Self(Sha256::digest(onion.as_str()).into())
    }

    /// The ID's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for DeploymentId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for DeploymentId {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let bytes = HEXLOWER_PERMISSIVE
            .decode(text.trim().as_bytes())
            .map_err(|_| EndpointError::Deployment)?;
        Ok(Self(bytes.try_into().map_err(|_| EndpointError::Deployment)?))
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeploymentId({}…)", HEXLOWER_PERMISSIVE.encode(&self.0[..2]))
    }
}

impl FromStr for Ingest {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (endpoints, deployment) = match text.split_once('#') {
            Some((endpoints, deployment)) => (endpoints, Some(deployment.parse()?)),
            None => (text, None),
        };
        let endpoints: Vec<Endpoint> = endpoints
            .split(',')
            .map(|endpoint| endpoint.trim().parse())
            .collect::<Result<_, _>>()?;
        let deployment = match (deployment, endpoints.as_slice()) {
            (Some(deployment), _) => deployment,
            (None, [only]) => DeploymentId::of(&only.onion),
            (None, _) => return Err(EndpointError::DeploymentMissing),
        };
        Ok(Self { deployment, endpoints })
    }
}

impl fmt::Display for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        match self.endpoints.as_slice() {
            [only] if DeploymentId::of(&only.onion) == self.deployment => Ok(()),
            _ => write!(f, "#{}", self.deployment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Tor Project's own site.
    const TORPROJECT: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    /// DuckDuckGo.
    const OTHER: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";

    #[test]
    fn addresses_in_use_today_are_accepted() {
        for address in [TORPROJECT, OTHER] {
            assert_eq!(address.parse::<OnionAddress>().unwrap().as_str(), address);
            assert_eq!(address.to_uppercase().parse::<OnionAddress>().unwrap().as_str(), address);
        }
    }

    #[test]
    fn an_address_is_made_of_its_key() {
        for address in [TORPROJECT, OTHER] {
            let label = address.strip_suffix(SUFFIX).unwrap().to_ascii_uppercase();
            let bytes = BASE32_NOPAD.decode(label.as_bytes()).unwrap();
            let key = bytes[..32].try_into().unwrap();
            assert_eq!(OnionAddress::of_key(&key).as_str(), address);
        }
    }

    #[test]
    fn a_bad_address_says_what_is_wrong_with_it() {
        let flipped = TORPROJECT.replacen('z', "y", 1);
        for (text, expected) in [
            ("example.com", EndpointError::NotOnion),
            ("expyuzz4wqqyqhjn.onion", EndpointError::Length(16)),
            (&TORPROJECT.replacen('g', "1", 1), EndpointError::Character(2)),
            (&flipped, EndpointError::Checksum),
            (&format!("{TORPROJECT}:0"), EndpointError::Port),
            (&format!("{TORPROJECT}:http"), EndpointError::Port),
            (&format!("{TORPROJECT}:+80"), EndpointError::Port),
            (&format!("{TORPROJECT},{OTHER}"), EndpointError::DeploymentMissing),
            (&format!("{TORPROJECT}#abc"), EndpointError::Deployment),
        ] {
            assert_eq!(text.parse::<Ingest>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn an_ingest_string_is_read_as_it_is_written() {
        let deployment = "07".repeat(32);
        for text in [
            TORPROJECT.to_owned(),
            format!("{TORPROJECT}:8080"),
            format!("{TORPROJECT}#{deployment}"),
            format!("{TORPROJECT},{OTHER}:81#{deployment}"),
        ] {
            assert_eq!(text.parse::<Ingest>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn debug_does_not_tell_the_address() {
        let shown = format!("{:?}", TORPROJECT.parse::<Ingest>().unwrap());
        assert!(!shown.contains(&TORPROJECT[..10]), "{shown}");
    }
}
