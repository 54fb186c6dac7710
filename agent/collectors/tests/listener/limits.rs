//! What is too large, too slow or malformed. A failure: an answer that doesn't come, or a body that is
//! taken in spite of its size. How fast a limit strikes isn't measured.

use std::{
    io::{self, Read as _, Write as _},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use undertone_collectors::listener::Limits;

use crate::serving::{Answer, Serving, exchange, post};

const SHORT: Duration = Duration::from_millis(200);

fn small() -> Limits {
    Limits { body_bytes: 100_000, decompressed_bytes: 200_000, ..Limits::default() }
}

fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /write HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request.extend(b"\r\n0\r\n\r\n");
    request
}

#[test]
fn large_bodies_are_refused() {
    let serving = Serving::start(small());
    let line = b"a b=1 1\n";
    let largest = line.repeat(100_000 / line.len());
    assert_eq!(exchange(serving.unix(), &post("/write", "", &largest)).status, 204);
    assert_eq!(exchange(serving.unix(), &chunked("", &largest)).status, 204);
    assert_eq!(serving.points().len(), 2 * largest.len() / line.len());
    let larger = line.repeat(100_000 / line.len() + 1);
    for request in [post("/write", "", &larger), chunked("", &larger)] {
        let answer = exchange(serving.unix(), &request);
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains("too large"));
    }
    // Said to be large, without a byte of it.
    let announced = "POST /api/v2/write HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                     Content-Length: 99999999999\r\n\r\n";
    let mut stream = serving.unix();
    stream.write_all(announced.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    // Its rest is never sent: the answer, or an end without one.
    let _ = stream.read_to_string(&mut text);
    assert!(!text.contains(" 204 "), "{text}");
    assert_eq!(serving.points(), []);
}

#[test]
fn a_gzip_bomb_is_refused() {
    let serving = Serving::start(small());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let lines = b"a b=1 1\n".repeat(100_000);
    for _ in 0..80 {
        encoder.write_all(&lines).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    // 64 MB, many times the limit, in less than the limit of what is received.
    assert!(bomb.len() < 100_000 * 2, "{}", bomb.len());
    let limits = Limits { body_bytes: 200_000, ..small() };
    let roomy = Serving::start(limits);
    for serving in [&serving, &roomy] {
        let answer = serving.write("/write", "Content-Encoding: gzip\r\n", &bomb);
        assert_eq!(answer.status, 413, "{answer:?}");
        assert_eq!(serving.points(), []);
    }
}

#[test]
fn what_is_no_gzip_is_refused() {
    let serving = Serving::start(small());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"a b=1 1\n").unwrap();
    let whole = encoder.finish().unwrap();
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let trailing = [&whole[..], b"garbage that is no member"].concat();
    for (headers, body, status) in [
        ("Content-Encoding: gzip\r\n", &whole[..], 204),
        ("Content-Encoding: gzip\r\n", b"a b=1", 400),
        ("Content-Encoding: gzip\r\n", b"", 400),
        ("Content-Encoding: gzip\r\n", &whole[..whole.len() - 9], 400),
        ("Content-Encoding: gzip\r\n", &whole[..whole.len() - 1], 400),
        ("Content-Encoding: gzip\r\n", &damaged, 400),
        ("Content-Encoding: gzip\r\n", &trailing, 400),
        ("Content-Encoding: identity\r\n", b"a b=1", 204),
        ("Content-Encoding: zstd\r\n", b"a b=1", 415),
        ("Content-Encoding: gzip, gzip\r\n", &whole, 415),
        ("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", &whole, 415),
    ] {
        let answer = serving.write("/write", headers, body);
        assert_eq!(answer.status, status, "{headers} {body:?} {answer:?}");
        assert_eq!(serving.points().len(), usize::from(status == 204));
    }
}

#[test]
fn slow_senders_are_cut() {
    let limits = Limits { head: SHORT, body: SHORT, ..Limits::default() };
    let serving = Serving::start(limits);
    // A body that never ends.
    let mut stream = serving.unix();
    stream
        .write_all(b"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na b=1\n")
        .unwrap();
    let answer = Answer::read(stream);
    assert_eq!(answer.status, 408, "{answer:?}");
    // A refused one, too.
    let mut stream = serving.tcp();
    stream
        .write_all(b"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na b=1\n")
        .unwrap();
    assert_eq!(Answer::read(stream).status, 403);
    // A head that never ends, and a connection on which nothing comes, before and after a request.
    for begun in
        ["POST /write HTTP/1.1\r\nHost: x\r\n", "", "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let mut stream = serving.unix();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        assert!(read.is_ok() || read.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
        assert_eq!(text.contains(" 204 "), begun.starts_with("GET"), "{text}");
    }
    assert_eq!(serving.points(), []);
}

#[test]
fn connections_dont_live_for_ever() {
    let limits = Limits { connection: SHORT, ..Limits::default() };
    let serving = Serving::start(limits);
    let mut stream = serving.unix();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(Answer::read(stream).status, 204, "and then the end");
}

#[test]
fn who_comes_beyond_the_limit_waits_and_is_served() {
    let limits = Limits { connections: 1, requests: 1, ..Limits::default() };
    let serving = Serving::start(limits);
    let first = serving.unix();
    let mut others: Vec<_> = (0..4).map(|_| serving.unix()).collect();
    for other in &mut others {
        other.write_all(&post("/write", "", b"a b=1")).unwrap();
    }
    assert_eq!(exchange(first, &post("/write", "", b"a b=1")).status, 204);
    for other in others {
        assert_eq!(Answer::read(other).status, 204);
    }
}

#[test]
fn large_and_malformed_heads_are_refused() {
    let serving = Serving::start(Limits::default());
    let long = format!("GET /ping HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    let many = format!("GET /ping HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for head in [long.as_str(), &many, "nonsense\r\n\r\n", "GET /ping HTTP/1.1\r\nHost x\r\n\r\n"] {
        let mut stream = serving.unix();
        // It may be refused before all of it is read.
        let _ = stream.write_all(head.as_bytes());
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(!text.contains(" 204 "), "{}… {text}", &head[..12]);
    }
    assert_eq!(serving.write("/write", "", b"a b=1").status, 204, "others are still served");
}
