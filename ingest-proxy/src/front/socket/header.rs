//! The line that tor writes before a stream: version 1 of the PROXY protocol, with the circuit's
//! number in the last 32 bits of the source address.
//!
//! See `HiddenServiceExportCircuitID` in the manual of tor. Anything else is refused.

use std::{io, net::Ipv6Addr, num::NonZeroU32};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line of version 1, with its end (proxy-protocol.txt, section 2.1).
const LONGEST: u64 = 107;
/// What tor writes before the circuit's number.
const PREFIX: [u16; 6] = [0xfc00, 0xdead, 0xbeef, 0x4dad, 0, 0];

/// What came instead of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCircuit {
    /// The end, before any byte: somebody looked whether the socket is alive.
    Nothing,
    /// Something else.
    Malformed,
}

/// Reads the line, and no byte more; returns the circuit's number in its tor.
pub(crate) async fn read(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> Result<NonZeroU32, NoCircuit> {
    let mut line = Vec::new();
    let read: io::Result<usize> = stream.take(LONGEST).read_until(b'\n', &mut line).await;
    match read {
        Ok(0) => Err(NoCircuit::Nothing),
        Ok(_) => parse(&line).ok_or(NoCircuit::Malformed),
        Err(_) => Err(NoCircuit::Malformed),
    }
}

fn parse(line: &[u8]) -> Option<NonZeroU32> {
    let line = str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.strip_prefix("PROXY TCP6 ")?.split(' ');
    let source: Ipv6Addr = words.next()?.parse().ok()?;
    let target: Ipv6Addr = words.next()?.parse().ok()?;
    let ports = [words.next()?, words.next()?];
    let [prefix @ .., high, low] = source.segments();
    let right = prefix == PREFIX
        && target == Ipv6Addr::LOCALHOST
        && ports.iter().all(|port| is_port(port))
        && words.next().is_none();
    // Tor numbers from 1; with 0 it says that it doesn't know.
    NonZeroU32::new(u32::from(high) << 16 | u32::from(low)).filter(|_| right)
}

/// Rust would take a `+` before a number. Neither port says anything: the first is made of the
/// circuit's number, the second is the service's.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn only_the_line_of_tor_names_a_circuit() {
        let good = "PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41 80\r\n";
        let number = |number| Ok(NonZeroU32::new(number).unwrap());
        let malformed = Err(NoCircuit::Malformed);
        for (text, expected) in [
            (good.to_owned(), number(0x29)),
            (good.replace("::0:29", "::29"), number(0x29)),
            (good.replace("::0:29", "::ffff:fffe"), number(0xffff_fffe)),
            (String::new(), Err(NoCircuit::Nothing)),
            (good.replace("::0:29", "::0:0"), malformed),
            (good.replace("::0:29", "::1:0:29"), malformed),
            (good.replace("4dad", "4dae"), malformed),
            (good.replace("TCP6 fc00:dead:beef:4dad::0:29 ::1", "TCP4 1.2.3.4 1.2.3.5"), malformed),
            (good.replace("TCP6", "UNKNOWN"), malformed),
            ("PROXY UNKNOWN\r\n".to_owned(), malformed),
            (good.replace("PROXY", "proxy"), malformed),
            (good.replace(" ::1 ", " ::2 "), malformed),
            (good.replace(" 41 ", " +41 "), malformed),
            (good.replace(" 80\r", " 65536\r"), malformed),
            (good.replace(" 80\r", "\r"), malformed),
            (good.replace(" 80\r", " \r"), malformed),
            (good.replace(" 80\r", " 80 \r"), malformed),
            (good.replace("TCP6 ", "TCP6  "), malformed),
            (good.replace("\r\n", "\n"), malformed),
            (good.replace("\r\n", ""), malformed),
            (good.replace(" 80\r", &format!(" {:0>80}\r", 80)), malformed),
            (format!("\r\n\r\n\0\r\nQUIT\n{good}"), malformed),
            ("POST /v1/batch HTTP/1.1\r\n".to_owned(), malformed),
        ] {
            assert_eq!(read(&mut text.as_bytes()).await, expected, "{text}");
        }
    }

    #[tokio::test]
    async fn what_follows_the_line_is_left() {
        let mut stream = &b"PROXY TCP6 fc00:dead:beef:4dad::1:1 ::1 1 80\r\nPOST"[..];
        assert_eq!(read(&mut stream).await.map(NonZeroU32::get), Ok(0x0001_0001));
        assert_eq!(stream, b"POST");
    }

    proptest! {
        #[test]
        fn every_number_is_read_as_tor_writes_it(number in 1..=u32::MAX, port in 0..=u16::MAX) {
            let line = format!(
                "PROXY TCP6 fc00:dead:beef:4dad:{}:{:x}:{:x} ::1 {} {port}\r\n",
                "", number >> 16, number & 0xffff, number & 0xffff
            );
            prop_assert_eq!(parse(line.as_bytes()), NonZeroU32::new(number));
        }

        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }
    }
}
