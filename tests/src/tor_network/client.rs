//! A C tor as a client of the network: a SOCKS port, and whatever else a torrc can say.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::node::percent;
use super::{TorNetwork, keys, torrc};
use crate::folder::Folder;
use crate::ports;
use crate::process::Process;

const BOOTSTRAP: Duration = Duration::from_secs(90);
// How long one exchange may take; a circuit to an onion service is made in it.
const EXCHANGE: Duration = Duration::from_secs(120);

/// A running tor that is bootstrapped.
#[derive(Debug)]
pub struct TorClient {
    /// The process, to be paused or asked for its log.
    pub process: Process,
    port: u16,
    folder: Folder,
}

impl TorClient {
    pub(super) fn start(network: &TorNetwork, extra: &[&str]) -> Result<Self> {
        let folder = Folder::new("tor-client")?;
        let port = ports::free()?;
        let torrc = folder.join("torrc");
        let text = torrc::client(&folder.join("data"), port, network.authority_lines(), extra);
        std::fs::write(&torrc, text)?;
        let start = Instant::now();
        let process = Process::spawn("tor", folder.path(), keys::tor(&torrc)?)?;
        let mut client = Self { process, port, folder };
        client.process.wait_for("Bootstrapped 100%", BOOTSTRAP, |log| {
            (percent(log) == 100).then(|| start.elapsed())
        })?;
        Ok(client)
    }

    /// The SOCKS port on 127.0.0.1.
    pub fn socks_port(&self) -> u16 {
        self.port
    }

    /// Its folder; `DataDirectory` is `data` in it, and there is room for a HiddenServiceDir.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends these bytes on a stream of their own; returns all that comes until the other side ends
    /// it, or nothing if it isn't accepted. Streams of one circuit share its SOCKS credentials.
    pub fn exchange(
        &self,
        onion: &str,
        port: u16,
        circuit: &str,
        bytes: &[u8],
    ) -> Result<Option<String>> {
        let mut stream = self.stream()?;
        if connect(&mut stream, onion, port, circuit)? != 0 {
            return Ok(None);
        }
        stream.write_all(bytes)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(Some(String::from_utf8(answer)?))
    }

    /// Whether a stream is accepted. Nothing is sent on it: it is no request.
    pub fn reaches(&self, onion: &str, port: u16, circuit: &str) -> Result<bool> {
        Ok(connect(&mut self.stream()?, onion, port, circuit)? == 0)
    }

    fn stream(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(EXCHANGE))?;
        Ok(stream)
    }
}

/// SOCKS5 (RFC 1928) with a username (RFC 1929); returns the reply code.
fn connect(stream: &mut TcpStream, host: &str, port: u16, user: &str) -> Result<u8> {
    let counted = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    stream.write_all(&[5, 1, 2])?;
    ensure!(read(stream)? == [5, 2], "it wants no username");
    stream.write_all(&[&[1][..], &counted(user), &counted("x")].concat())?;
    ensure!(read(stream)? == [1, 0], "it doesn't want this username");
    stream.write_all(&[&[5, 1, 0, 3][..], &counted(host), &port.to_be_bytes()].concat())?;
    let [version, code, _, kind] = read(stream)?;
    ensure!((version, kind) == (5, 1), "no reply of SOCKS5 with an IPv4 address");
    let _: [u8; 6] = read(stream)?;
    Ok(code)
}

fn read<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
