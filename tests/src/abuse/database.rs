//! A database that tells everything: version, address, token and text are in whatever it answers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use anyhow::Result;

/// What is looked for in answers to clients.
pub(crate) const VERSION: &str = "v2.7.99-undertone-abuse";
pub(crate) const TEXT: &str = "partial write: unparsable points in bucket telemetry-of-abuse";
pub(crate) const TOKEN: &str = "token-that-nobody-may-see-0123456789";

/// Serves until the process ends: every second write is an error that is to be tried again.
pub(crate) fn start() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { continue };
            let _ = serve(&mut stream, number);
        }
    });
    Ok(port)
}

/// One request a connection; its end is found by its length.
fn serve(stream: &mut std::net::TcpStream, number: usize) -> std::io::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        seen.extend_from_slice(&buffer[..read]);
        if read == 0 || is_whole(&seen) {
            break;
        }
    }
    let (status, more) = match number % 2 {
        0 => ("503 Service Unavailable", "retry-after: 1\r\n"),
        _ => ("204 No Content", ""),
    };
    let body = if number.is_multiple_of(2) {
        format!("{{\"message\":\"{TEXT} {TOKEN}\"}}")
    } else {
        String::new()
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nx-influxdb-version: {VERSION}\r\n{more}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    // Compressed bodies aren't text: what was lost is made up for by counting bytes.
    let head = request.len()
        - request.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    length.map_or(body.ends_with("0\r\n\r\n") || body.is_empty(), |length| head >= length)
}
