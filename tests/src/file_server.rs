//! The article's file server, an example of the agent's library, as a process that reports to a proxy.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{folder::Folder, process::Process, programs};

/// From its start to its first lines, and from SIGTERM to its end.
const LIMIT: Duration = Duration::from_secs(30);

/// A file server that runs.
#[derive(Debug)]
pub struct FileServer {
    /// Its process.
    pub process: Process,
    /// The session that it reports under.
    pub session: String,
    /// Where it serves files.
    pub address: SocketAddr,
    _folder: Folder,
}

impl FileServer {
    /// Starts one on the Tor network of this arti configuration; `rhythm` is the mean time between
    /// two of its reports, in seconds.
    pub fn start(tor: &str, ingest: &str, rhythm: f64) -> Result<Self> {
        let folder = Folder::new("file-server")?;
        fs::write(folder.join("consent"), "granted")?;
        fs::write(folder.join("tor.toml"), tor)?;
        let mut command = programs::example("file_server")?;
        command.args(["--listen", "127.0.0.1:0", "--ingest", ingest]);
        command.arg("--rhythm").arg(rhythm.to_string());
        let files =
            [("--data-dir", "data"), ("--consent", "consent"), ("--tor-config", "tor.toml")];
        for (flag, name) in files {
            command.arg(flag).arg(folder.join(name));
        }
        let mut process = Process::spawn("file-server", folder.path(), command)?;
        let (address, session) = process.wait_for("the file server", LIMIT, |log| {
            let word = |start| log.lines().find_map(|line| line.strip_prefix(start));
            let address = word("listening on ")?.parse().ok()?;
            Some((address, word("reporting as session ")?.to_owned()))
        })?;
        Ok(Self { process, session, address, _folder: folder })
    }

    /// Its schema, printed by itself.
    pub fn schema() -> Result<String> {
        let output = programs::example("file_server")?.arg("--schema").output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Fetches a file of this size; returns how many bytes came.
    pub fn fetch(&self, size: usize) -> Result<usize> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET /{size} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n").context("no head")?;
        Ok(answer.len() - head - 4)
    }

    /// Ends it in order: what it has counted is sent first.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(LIMIT)?;
        ensure!(status.success(), "{status}\n{}", self.process.log());
        Ok(())
    }
}
