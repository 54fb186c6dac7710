//! The server's side of SOCKS5 (RFC 1928) with username and password (RFC 1929): CONNECT only.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const SUCCEEDED: u8 = 0;
pub(crate) const HOST_UNREACHABLE: u8 = 4;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

pub(crate) struct Asked {
    pub(crate) credentials: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Everything up to the client's request, which waits for a [`reply`]. Reads no byte too many.
pub(crate) fn negotiate(stream: &mut (impl Read + Write)) -> Result<Asked> {
    expect(byte(stream)?, VERSION)?;
    let methods = counted(stream)?;
    let credentials = if methods.contains(&PASSWORD) {
        stream.write_all(&[VERSION, PASSWORD])?;
        expect(byte(stream)?, 1)?;
        let credentials = (counted(stream)?, counted(stream)?);
        stream.write_all(&[1, SUCCEEDED])?;
        Some(credentials)
    } else if methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_AUTHENTICATION])?;
        None
    } else {
        stream.write_all(&[VERSION, NONE_ACCEPTABLE])?;
        return Err(Error::from(ErrorKind::InvalidData));
    };

    let [version, command, _reserved, kind] = exact(stream)?;
    expect(version, VERSION)?;
    if command != 1 {
        reply(stream, 7)?;
        return Err(Error::from(ErrorKind::Unsupported));
    }
    let host = match kind {
        1 => Ipv4Addr::from(exact::<4>(stream)?).to_string(),
        3 => String::from_utf8_lossy(&counted(stream)?).into_owned(),
        4 => Ipv6Addr::from(exact::<16>(stream)?).to_string(),
        _ => return Err(Error::from(ErrorKind::InvalidData)),
    };
    let port = u16::from_be_bytes(exact(stream)?);
    Ok(Asked { credentials, host, port })
}

/// Replies to the request; the bound address is 0.0.0.0:0, as Tor's is.
pub(crate) fn reply(stream: &mut impl Write, code: u8) -> Result<()> {
    stream.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0])
}

fn exact<const N: usize>(stream: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn byte(stream: &mut impl Read) -> Result<u8> {
    exact::<1>(stream).map(|[byte]| byte)
}

/// A length in one byte, then so many bytes.
fn counted(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(byte(stream)?)];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn expect(found: u8, expected: u8) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::from(ErrorKind::InvalidData)) }
}
