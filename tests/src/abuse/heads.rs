//! Heads that no agent sends.

use super::{
    answers::{ANY, MALFORMED, NOTHING, REFUSED},
    parcels::Case,
};

const METHODS: [&str; 14] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND",
    "post", "POSTS", "M-SEARCH", "\u{7f}",
];
const PATHS: [&str; 20] = [
    "/",
    "/v1/batch",
    "/v1/batch/",
    "/v1/batch?",
    "/v1/batch?a=b",
    "/v1/batch#a",
    "/v1//batch",
    "/v1/./batch",
    "/V1/batch",
    "/v1/%62atch",
    "/write?db=a",
    "/api/v2/write?bucket=a",
    "/ping",
    "/health",
    "/metrics",
    "/query?q=SHOW+DATABASES",
    "*",
    "http://127.0.0.1:8086/v1/batch",
    "127.0.0.1:8086",
    "/../../etc/passwd",
];
const ODDITIES: [&str; 12] = [
    "",
    "host: 127.0.0.1\r\n",
    "host: a\r\nhost: b\r\n",
    "authorization: Token abc\r\n",
    "expect: 100-continue\r\n",
    "x-forwarded-for: 10.0.0.1\r\n",
    "content-encoding: gzip\r\n",
    "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\n",
    "connection: keep-alive\r\n",
    "range: bytes=0-\r\n",
    "transfer-encoding: identity\r\n",
    "cookie: \u{1}\r\n",
];

/// Every method on every path with every oddity, but the push itself.
pub(crate) fn routes() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in METHODS {
        for path in PATHS {
            for oddity in ODDITIES {
                let request =
                    format!("{method} {path} HTTP/1.1\r\n{oddity}content-length: 0\r\n\r\n");
                cases.push((format!("{method} {path} {oddity:?}"), request.into_bytes(), REFUSED));
            }
        }
    }
    cases
}

/// Requests that two readers of HTTP would end at different places, and those that want another protocol.
/// `push` is one that is taken, `other` the same of another session.
pub(crate) fn smuggling(push: &[u8], other: &[u8]) -> Vec<Case> {
    let body = push.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    let body = &push[body..];
    let post = "POST /v1/batch HTTP/1.1\r\nhost: a\r\n";
    let mut cases: Vec<Case> = Vec::new();
    // (what, the head's rest); what follows is a parcel.
    for (what, head) in [
        ("CL.TE", "content-length: 3785\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("TE.CL", "transfer-encoding: chunked\r\ncontent-length: 3785\r\n\r\n"),
        ("TE twice", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n"),
        ("TE obfuscated", "transfer-encoding: xchunked\r\ncontent-length: 3785\r\n\r\n"),
        ("TE with a tab", "transfer-encoding:\tchunked\r\ncontent-length: 3785\r\n\r\n"),
        (
            "TE with a space before the colon",
            "transfer-encoding : chunked\r\ncontent-length: 3785\r\n\r\n",
        ),
        ("CL twice, unequal", "content-length: 3785\r\ncontent-length: 10\r\n\r\n"),
        ("CL twice in one", "content-length: 3785, 3785\r\n\r\n"),
        ("CL with a sign", "content-length: +3785\r\n\r\n"),
        ("CL in hexadecimal", "content-length: 0xec9\r\n\r\n"),
        ("CL too large for a number", "content-length: 99999999999999999999\r\n\r\n"),
        ("CL with zeros", "content-length: 03785\r\n\r\n"),
        ("CL folded", "content-length:\r\n 3785\r\n\r\n"),
        ("no CL", "\r\n"),
        ("a folded field", "a: b\r\n c\r\ncontent-length: 3785\r\n\r\n"),
        ("a field without a name", ": b\r\ncontent-length: 3785\r\n\r\n"),
        ("NUL in a field", "a: \0\r\ncontent-length: 3785\r\n\r\n"),
        ("CR alone", "a: b\rc: d\r\ncontent-length: 3785\r\n\r\n"),
        ("an expectation", "expect: 100-continue\r\ncontent-length: 3785\r\n\r\n"),
    ] {
        cases.push((what.to_owned(), [post.as_bytes(), head.as_bytes(), body].concat(), REFUSED));
    }
    let mut plain = |what: &str, bytes: Vec<u8>, expected| {
        cases.push((what.to_owned(), bytes, expected));
    };
    plain("LF only", [b"POST /v1/batch HTTP/1.1\ncontent-length: 3785\n\n", body].concat(), ANY);
    plain(
        "absolute form",
        [b"POST http://a/v1/batch HTTP/1.1\r\nhost: a\r\ncontent-length: 3785\r\n\r\n", body]
            .concat(),
        REFUSED,
    );
    plain("a request in front", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", push].concat(), MALFORMED);
    plain("two requests", [push, other].concat(), ANY);
    plain(
        "a request behind a bad one",
        [&push[..push.len() - 1], b"\xff", other].concat(),
        MALFORMED,
    );
    plain(
        "HTTP/1.0",
        [b"POST /v1/batch HTTP/1.0\r\ncontent-length: 3785\r\n\r\n", body].concat(),
        ANY,
    );
    plain(
        "h2 preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0".to_vec(),
        NOTHING,
    );
    plain("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n".to_vec(), REFUSED);
    plain("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), REFUSED);
    plain("CONNECT", b"CONNECT 127.0.0.1:8086 HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), REFUSED);
    plain(
        "an upgrade",
        b"GET /v1/batch HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec(),
        MALFORMED,
    );
    plain(
        "another PROXY line",
        [b"PROXY TCP6 fc00:dead:beef:4dad::0:1 ::1 1 80\r\n", push].concat(),
        REFUSED,
    );
    cases
}

/// Heads and bodies that are too long, chunked or not what they say.
pub(crate) fn lengths() -> Vec<Case> {
    let post = "POST /v1/batch HTTP/1.1\r\n";
    let mut cases: Vec<Case> = Vec::new();
    let mut case =
        |what: &str, bytes: Vec<u8>, expected| cases.push((what.to_owned(), bytes, expected));
    let megabyte = vec![b'a'; 1 << 20];
    case(
        "a body of 1 MiB",
        [post.as_bytes(), b"content-length: 1048576\r\n\r\n", &megabyte].concat(),
        MALFORMED,
    );
    case(
        "a body of 16 EiB",
        [post.as_bytes(), b"content-length: 18446744073709551615\r\n\r\n", &megabyte].concat(),
        REFUSED,
    );
    case(
        "chunks of 1 MiB",
        [
            post.as_bytes(),
            b"transfer-encoding: chunked\r\n\r\n100000\r\n",
            &megabyte,
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
        MALFORMED,
    );
    case(
        "a chunk of 16 EiB",
        [post.as_bytes(), b"transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n", &megabyte]
            .concat(),
        MALFORMED,
    );
    case(
        "chunks of a byte",
        [
            post.as_bytes(),
            b"transfer-encoding: chunked\r\n\r\n",
            "1\r\na\r\n".repeat(20_000).as_bytes(),
        ]
        .concat(),
        MALFORMED,
    );
    case(
        "a long extension of a chunk",
        [post.as_bytes(), b"transfer-encoding: chunked\r\n\r\n1;", &megabyte].concat(),
        MALFORMED,
    );
    case("a path of 1 MiB", [b"POST /", &megabyte[..], b" HTTP/1.1\r\n\r\n"].concat(), REFUSED);
    case("a field of 1 MiB", [post.as_bytes(), b"a: ", &megabyte].concat(), REFUSED);
    case("a method of 1 MiB", megabyte.clone(), REFUSED);
    case(
        "100,000 fields",
        [post.as_bytes(), "a: b\r\n".repeat(100_000).as_bytes()].concat(),
        REFUSED,
    );
    case("line ends alone", "\r\n".repeat(100_000).into_bytes(), REFUSED);
    cases
}
