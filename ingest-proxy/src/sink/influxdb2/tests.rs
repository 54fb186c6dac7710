use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What the stub saw of a request: its head and its body.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A database that answers each body with the status that `answer` gives.
async fn database(answer: fn(&str) -> u16) -> (InfluxDb2, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer, Arc::clone(&shared)));
        }
    });
    let config = InfluxDb2Config { url, ..config("") };
    (InfluxDb2::new(config).unwrap(), seen)
}

async fn serve(mut stream: TcpStream, answer: fn(&str) -> u16, seen: Seen) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            seen.lock().unwrap().push((head.to_owned(), body.to_owned()));
            let status = answer(body);
            let text = if status == 204 { "" } else { "SECRET-ECHO of a line" };
            let reply = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nLocation: /\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
            bytes.clear();
            continue;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

fn config(url: &str) -> InfluxDb2Config {
    InfluxDb2Config {
        url: url.to_owned(),
        org: "my org".to_owned(),
        bucket: "b&c".to_owned(),
        token: "T0KEN".to_owned(),
    }
}

fn point(n: i64) -> Point {
    Point::new("m").field("n", n).at(n)
}

#[tokio::test]
async fn points_go_out_as_our_own_lines_with_nanoseconds() {
    let (sink, seen) = database(|_| 204).await;
    let hostile = Point::new("m").tag("t", "a b").field("s", "x\\\ny").at(9);
    sink.write(&[point(1), hostile]).await.unwrap();
    sink.write(&[]).await.unwrap();
    let seen = seen.lock().unwrap();
    let [(head, body)] = seen.as_slice() else { panic!("one request: {seen:?}") };
    assert!(head.starts_with("POST /api/v2/write?bucket=b%26c&org=my+org&precision=ns "), "{head}");
    assert!(head.to_lowercase().contains("authorization: token t0ken"), "{head}");
    assert_eq!(body, "m n=1i 1\nm,t=a\\ b s=\"x\\\\\ny\" 9\n");
}

#[tokio::test]
async fn every_status_has_its_kind() {
    const FATAL: Option<SinkErrorKind> = Some(SinkErrorKind::Fatal);
    const RETRY: Option<SinkErrorKind> = Some(SinkErrorKind::RetryAfter(None));
    macro_rules! check {
        ($($status:literal => $kind:expr,)*) => { $(
            let (sink, _) = database(|_| $status).await;
            let outcome = sink.write(&[point(1)]).await;
            let kind = outcome.as_ref().err().map(|error| error.kind().clone());
            assert_eq!(kind, $kind, "{}", $status);
            if let Err(error) = outcome {
                assert!(!error.report().contains("SECRET"), "no text of the database in the log");
                assert_eq!(error.is_retryable(), kind == RETRY);
            }
        )* };
    }
    let refused = |reason: &str| {
        let reason = reason.to_owned();
        Some(SinkErrorKind::LinesRefused(vec![RefusedPoint { index: 0, reason }]))
    };
    check! {
        204 => None,
        200 => FATAL,
        301 => FATAL,
        400 => refused("400: SECRET-ECHO of a line"),
        401 => FATAL,
        403 => FATAL,
        404 => FATAL,
        413 => refused("413: too large"),
        422 => refused("422: SECRET-ECHO of a line"),
        429 => RETRY,
        500 => RETRY,
        502 => RETRY,
        503 => RETRY,
    }
}

#[tokio::test]
async fn the_bad_line_is_found_and_the_rest_written() {
    let (sink, seen) = database(|body| if body.contains("m n=13i 13") { 400 } else { 204 }).await;
    let points: Vec<_> = (0..32).map(point).collect();
    let error = sink.write(&points).await.unwrap_err();
    let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
    assert_eq!(refused.iter().map(|refused| refused.index).collect::<Vec<_>>(), [13]);
    let written: String = seen
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, body)| !body.contains("n=13i"))
        .map(|(_, body)| body.as_str())
        .collect();
    let expected: String =
        (0..32).filter(|n| *n != 13).map(|n| format!("m n={n}i {n}\n")).collect();
    assert_eq!(written, expected);
}

#[tokio::test]
async fn what_is_too_large_is_split() {
    let (sink, seen) = database(|body| if body.len() > 30 { 413 } else { 204 }).await;
    sink.write(&(1..9).map(point).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1 + 2 + 4);
}

#[tokio::test]
async fn a_failure_in_the_search_is_no_verdict_on_lines() {
    let (sink, _) = database(|body| if body.lines().count() > 2 { 400 } else { 503 }).await;
    let error = sink.write(&(1..9).map(point).collect::<Vec<_>>()).await.unwrap_err();
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_tried_again() {
    // Bound and dropped: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sink = InfluxDb2::new(config(&format!("http://{address}/"))).unwrap();
    let error = sink.write(&[point(1)]).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(!error.report().contains("T0KEN"));
}

#[test]
fn a_configuration_that_cant_work_is_refused() {
    for (url, why) in [
        ("https://db:8086", "no TLS"),
        ("http://db:8086/influx", "has a path"),
        ("http://user:pw@db:8086", "alone"),
        ("http://db:8086?x=1", "alone"),
        ("ftp://db", "http://"),
        ("db:8086", "http://"),
        ("", "can't be read"),
    ] {
        let error = InfluxDb2::new(config(url)).unwrap_err();
        assert_eq!(error.kind(), &SinkErrorKind::Fatal);
        assert!(error.to_string().contains(why), "{url}: {error}");
    }
    let bad = InfluxDb2Config { token: "a\nb".to_owned(), ..config("http://db") };
    assert!(InfluxDb2::new(bad).is_err());
    let bad = InfluxDb2Config { bucket: String::new(), ..config("http://db") };
    assert!(InfluxDb2::new(bad).is_err());
}

#[test]
fn s4_the_token_is_not_shown() {
    let config = config("http://db:8086");
    assert!(!format!("{config:?}").contains("T0KEN"));
    let sink = InfluxDb2::new(config).unwrap();
    assert!(!format!("{sink:?}").contains("T0KEN"));
}
