//! A small HTTP/1.0 client for what tests ask of databases on loopback. Of the standard library
//! alone, hence independent of the code that is tested.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const LIMIT: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, as they came.
    pub head: String,
    /// The body; never chunked, since the request was HTTP/1.0.
    pub body: String,
}

/// Asks 127.0.0.1:`port`. `headers` are pairs; `Host`, `Content-Length` and `Connection` are added.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let what = format!("{method} http://127.0.0.1:{port}{path}");
    exchange(port, method, path, headers, body).context(what)
}

fn exchange(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\
         Connection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    stream.write_all(&[request.as_bytes(), body].concat())?;

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Response::parse(&answer)
}

impl Response {
    /// Reads a whole answer.
    pub(crate) fn parse(answer: &[u8]) -> Result<Self> {
        let answer = String::from_utf8_lossy(answer);
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("no whole head") };
        let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not a status line: {first:?}"))?;
        Ok(Self { status, head: head.to_owned(), body: body.to_owned() })
    }
}
