//! Where an HTTP/1.1 request ends. Pure.

/// The length of the whole request at the start of these bytes; `None` while it isn't whole. Bodies
/// are of `Content-Length` only: the agent sends no other.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = head + body.map_or(Some(0), |body| body.trim().parse::<usize>().ok())?;
    (bytes.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn lengths() {
        for (bytes, expected) in [
            ("", None),
            ("GET / HTTP/1.1\r\n", None),
            ("GET / HTTP/1.1\r\n\r\n", Some(18)),
            ("GET / HTTP/1.1\r\n\r\nGET", Some(18)),
            ("POST / HTTP/1.1\r\nCONTENT-length:3\r\n\r\nab", None),
            ("POST / HTTP/1.1\r\nCONTENT-length:3\r\n\r\nabc", Some(40)),
            ("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\nabc", None),
        ] {
            assert_eq!(length(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
