//! The capture, asked by curl and by hand.

use std::process::{Command, Output};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn curl(capture: &SocksCapture, credentials: &str, more: &[&str]) -> Output {
    let proxy = format!("socks5h://{credentials}{}", capture.address());
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "", "--max-time", "10", "-x", &proxy]);
    command.args(more).arg("http://abc.onion:8080/write").output().unwrap()
}

/// The part of a client, by hand: connected to `x.onion:80` once this returns the reply code.
fn connect(capture: &SocksCapture) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(capture.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"\x05\x01\x00").unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).unwrap();
    assert_eq!(method, [5, 0]);
    stream.write_all(b"\x05\x01\x00\x03\x07x.onion\x00\x50").unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    (stream, reply[1])
}

#[test]
fn records_what_curl_sends() {
    let capture = SocksCapture::start().unwrap();
    let body = ["--data-binary", "a b=1i 2", "-D", "-"];
    let output = curl(&capture, "user:secret@", &body);
    assert!(output.stdout.starts_with(b"HTTP/1.1 204 No Content"), "{output:?}");
    assert!(curl(&capture, "", &body).status.success());

    let streams = capture.wait_for_requests(2, SOON).unwrap();
    assert_eq!(streams[0].credentials, Some((b"user".to_vec(), b"secret".to_vec())));
    assert_eq!((&*streams[0].host, streams[0].port), ("abc.onion", 8080));
    assert_eq!(streams[1].credentials, None);
    assert_eq!(streams[0].bytes, streams[1].bytes);
    assert!(streams[0].bytes.starts_with(b"POST /write HTTP/1.1\r\n"));
    assert!(streams[0].bytes.ends_with(b"\r\n\r\na b=1i 2"));
    assert_eq!(capture.requests()[0], streams[0].bytes);
}

#[test]
fn counts_reads_and_requests() {
    let capture = SocksCapture::start().unwrap();
    capture.answer(b"one");
    let (mut stream, code) = connect(&capture);
    assert_eq!(code, 0);
    let mut answer = [0; 3];
    stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody").unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"one");

    let reads = |count: usize| {
        wait::until("reads", SOON, || Ok((capture.streams()[0].reads == count).then_some(())))
    };
    reads(1).unwrap();
    stream.write_all(b"GET /1 HT").unwrap();
    reads(2).unwrap();
    stream.write_all(b"TP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n").unwrap();
    let mut answers = [0; 6];
    stream.read_exact(&mut answers).unwrap();
    let last = capture.wait_for_requests(3, SOON).unwrap().remove(0);
    assert_eq!(last.requests()[1..], [b"GET /1 HTTP/1.1\r\n\r\n", b"GET /2 HTTP/1.1\r\n\r\n"]);
    assert_eq!(last.reads, 3);
    drop(stream);
    let closed = || Ok(capture.streams()[0].closed_by_client.then_some(()));
    wait::until("the close", SOON, closed).unwrap();
}

#[test]
fn refuses_hangs_and_closes() {
    let capture = SocksCapture::start().unwrap();
    capture.behave(Behaviour::Refuse(4));
    assert_eq!(connect(&capture).1, 4);

    let mut rest = Vec::new();
    capture.behave(Behaviour::CloseAtOnce);
    assert_eq!(connect(&capture).0.read_to_end(&mut rest).unwrap(), 0);

    capture.behave(Behaviour::CloseUnanswered);
    let (mut stream, _) = connect(&capture);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);

    capture.behave(Behaviour::Silent);
    let (mut stream, _) = connect(&capture);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    capture.wait_for_requests(2, SOON).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0]).is_err());

    // What hangs ends with the server.
    let streams = capture.wait_for_streams(4, SOON).unwrap();
    assert_eq!(streams.len(), 4);
    stream.set_read_timeout(Some(SOON)).unwrap();
    let address = capture.address();
    drop(capture);
    assert_eq!(stream.read_to_end(&mut rest).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}
