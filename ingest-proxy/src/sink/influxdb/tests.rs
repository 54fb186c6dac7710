//! Against stubs of all three versions. That of InfluxDB 3 answers as its documentation says; real
//! databases are written to by the scenarios.

mod https;
mod stub;

use std::time::Duration;

use stub::{Respond, Seen};
use tempfile::TempDir;

use super::*;
use crate::sink::Sink;
use crate::sink::influxdb1::{InfluxDb1, InfluxDb1Config, InfluxDb1User};
use crate::sink::influxdb2::{InfluxDb2, InfluxDb2Config};
use crate::sink::influxdb3::{InfluxDb3, InfluxDb3Config};

/// A sink of one version, to a server of this address.
type Make = fn(&str, Secret) -> Result<Box<dyn Sink>, SinkError>;

const ALL: [Make; 3] = [one, two, three];

fn one(url: &str, password: Secret) -> Result<Box<dyn Sink>, SinkError> {
    let server = Server::new(url)?;
    let user = Some(InfluxDb1User { name: "me".to_owned(), password });
    let (database, retention_policy) = ("b&c".to_owned(), Some("two weeks".to_owned()));
    let config = InfluxDb1Config { server, database, retention_policy, user };
    Ok(Box::new(InfluxDb1::new(config)?))
}

fn two(url: &str, token: Secret) -> Result<Box<dyn Sink>, SinkError> {
    let server = Server::new(url)?;
    let (org, bucket) = ("my org".to_owned(), "b&c".to_owned());
    Ok(Box::new(InfluxDb2::new(InfluxDb2Config { server, org, bucket, token })?))
}

fn three(url: &str, token: Secret) -> Result<Box<dyn Sink>, SinkError> {
    let server = Server::new(url)?;
    Ok(Box::new(InfluxDb3::new(InfluxDb3Config { server, database: "b&c".to_owned(), token })?))
}

async fn database(make: Make, respond: Respond) -> (Box<dyn Sink>, Seen) {
    let (url, seen) = stub::start(respond).await;
    (make(&url, "T0KEN".into()).unwrap(), seen)
}

fn point(n: i64) -> Point {
    Point::new("m").field("n", n).at(n)
}

fn points(range: std::ops::Range<i64>) -> Vec<Point> {
    range.map(point).collect()
}

fn status(code: u16) -> (u16, &'static str, String) {
    let text = if code == 204 { "" } else { "SECRET-ECHO of a line" };
    (code, "Location: /\r\n", text.to_owned())
}

#[tokio::test]
async fn points_go_out_as_our_own_lines_with_nanoseconds() {
    for (make, path, authorization) in [
        // "me:T0KEN"
        (one as Make, "/write?db=b%26c&rp=two+weeks&precision=ns", "basic bwu6vdblru4="),
        (two, "/api/v2/write?bucket=b%26c&org=my+org&precision=ns", "token t0ken"),
        (
            three,
            "/api/v3/write_lp?db=b%26c&precision=nanosecond&accept_partial=true",
            "bearer t0ken",
        ),
    ] {
        let (sink, seen) = database(make, |_, _| status(204)).await;
        let hostile = Point::new("m").tag("t", "a b").field("s", "x\\\ny").at(9);
        sink.write(&[point(1), hostile]).await.unwrap();
        sink.write(&[]).await.unwrap();
        let seen = seen.lock().unwrap();
        let [(head, body)] = seen.as_slice() else { panic!("one request: {seen:?}") };
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
        let line = format!("\r\nauthorization: {authorization}");
        assert!(head.to_lowercase().contains(&line), "{head}");
        assert_eq!(body, "m n=1i 1\nm,t=a\\ b s=\"x\\\\\ny\" 9\n");
    }
}

/// Takes what has no line, and answers this to the rest.
fn of_lines(body: &str, code: u16) -> (u16, &'static str, String) {
    status(if body.starts_with('#') { 204 } else { code })
}

#[tokio::test]
async fn every_status_has_its_kind() {
    const FATAL: Option<SinkErrorKind> = Some(SinkErrorKind::Fatal);
    const RETRY: Option<SinkErrorKind> = Some(SinkErrorKind::RetryAfter(None));
    const LATE: Option<SinkErrorKind> = Some(SinkErrorKind::TookTooLong);
    macro_rules! check {
        ($make:expr, $($code:literal => $kind:expr,)*) => { $(
            let (sink, _) = database($make, |_, body| of_lines(body, $code)).await;
            let outcome = sink.write(&[point(1)]).await;
            let kind = outcome.as_ref().err().map(|error| error.kind().clone());
            assert_eq!(kind, $kind, "{}", $code);
            if let Err(error) = outcome {
                let report = error.report();
                assert!(!report.contains("SECRET"), "no text of the database in the log: {report}");
                assert!(!report.contains("T0KEN"), "{report}");
                assert_eq!(error.is_retryable(), kind == RETRY || kind == LATE);
            }
        )* };
    }
    let refused = |reason: &str| {
        let reason = reason.to_owned();
        Some(SinkErrorKind::LinesRefused(vec![RefusedPoint { index: 0, reason }]))
    };
    for make in ALL {
        check! { make,
            204 => None,
            200 => FATAL,
            301 => FATAL,
            400 => refused("400: SECRET-ECHO of a line"),
            401 => FATAL,
            403 => FATAL,
            404 => FATAL,
            405 => FATAL,
            408 => LATE,
            413 => refused("413: too large"),
            415 => FATAL,
            422 => refused("422: SECRET-ECHO of a line"),
            429 => RETRY,
            500 => RETRY,
            502 => RETRY,
            503 => RETRY,
            504 => LATE,
            507 => RETRY,
            599 => RETRY,
        }
    }
}

#[tokio::test]
async fn the_time_that_a_database_asks_for_is_told() {
    const SECONDS: &str = "Retry-After: 17\r\n";
    const DATE: &str = "Date: Tue, 03 Nov 2026 10:00:00 GMT\r\n\
                        Retry-After: Tue, 03 Nov 2026 10:00:17 GMT\r\n";
    const PAST: &str = "Date: Tue, 03 Nov 2026 10:00:00 GMT\r\n\
                        Retry-After: Tue, 03 Nov 2026 09:00:00 GMT\r\n";
    const NONSENSE: &str = "Retry-After: soon\r\n";
    macro_rules! check {
        ($($code:literal, $headers:expr => $asked:expr,)*) => { $( for make in ALL {
            let (sink, _) = database(make, |_, _| ($code, $headers, String::new())).await;
            for attempt in 0..2 {
                let error = sink.write(&[point(1)]).await.unwrap_err();
                let asked: Option<u64> = $asked;
                let kind = SinkErrorKind::RetryAfter(asked.map(Duration::from_secs));
                assert_eq!(error.kind(), &kind, "{} {} {attempt}", $code, $headers);
            }
        } )* };
    }
    check! {
        503, SECONDS => Some(17),
        429, SECONDS => Some(17),
        503, DATE => Some(17),
        429, DATE => Some(17),
        503, PAST => Some(0),
        503, NONSENSE => None,
        429, "" => None,
    }
}

#[test]
fn a_date_to_come_back_at_without_the_answers_own_is_by_our_clock() {
    let then = "Tue, 03 Nov 2026 10:00:17 GMT";
    let now = httpdate::parse_http_date("Tue, 03 Nov 2026 10:00:00 GMT").unwrap();
    for date in [None, Some("nonsense")] {
        assert_eq!(answer::retry_after(then, date, now), Some(Duration::from_secs(17)));
    }
}

#[tokio::test]
async fn a_database_that_was_busy_is_written_to_again() {
    let (sink, seen) = database(two, |_, body| match body.contains("n=1i") {
        true => (429, "Retry-After: 1\r\n", String::new()),
        false => status(204),
    })
    .await;
    assert!(sink.write(&[point(1)]).await.is_err());
    for n in 2..5 {
        sink.write(&[point(n)]).await.unwrap();
    }
    // The refused one went out by both clients.
    assert_eq!(seen.lock().unwrap().len(), 2 + 3);
}

#[tokio::test]
async fn d3_a_request_that_is_refused_as_a_whole_costs_no_point() {
    // Nothing is taken, or nothing but what is empty; the second is the lines' fault.
    let by_request: Respond = |_, _| (400, "", "{\"message\":\"bad precision\"}".to_owned());
    let by_line: Respond = |_, body| of_lines(body, 400);
    let unprocessable: Respond = |_, _| (422, "", String::new());
    let too_large: Respond = |_, _| (413, "", String::new());
    for make in ALL {
        for (respond, requests) in [(by_request, 2), (unprocessable, 2)] {
            let (sink, seen) = database(make, respond).await;
            let error = sink.write(&points(0..500)).await.unwrap_err();
            assert_eq!(error.kind(), &SinkErrorKind::Fatal, "{error:?}");
            assert!(error.report().contains("refuses the request and not a line"));
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), requests, "no search for what isn't there");
            assert!(seen[1].1.lines().all(|line| line.starts_with('#')), "{seen:?}");
        }
        let (sink, _) = database(make, too_large).await;
        let error = sink.write(&points(0..4)).await.unwrap_err();
        assert_eq!(error.kind(), &SinkErrorKind::Fatal, "{error:?}");
        let (sink, _) = database(make, by_line).await;
        let error = sink.write(&points(0..4)).await.unwrap_err();
        let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
        assert_eq!(refused.len(), 4);
    }
}

#[tokio::test]
async fn what_says_that_it_is_about_a_line_is_believed() {
    for text in [
        r#"{"code":"invalid","message":"unable to parse 'm': missing fields"}"#,
        r#"{"code":"unprocessable entity","message":"partial write: points beyond retention"}"#,
    ] {
        let answer = Answer { status: 400, retry_after: None, text: text.to_owned() };
        let verdict = verdict(Version::Two, &answer, 1).unwrap();
        assert!(matches!(verdict, Verdict::Refused(Refusal { is_of_lines: true, .. })), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up_and_fewer_points_are_to_be_tried() {
    let silent: Respond = |_, _| (stub::SILENT, "", String::new());
    let trickling: Respond = |_, _| (500, stub::TRICKLING, String::new());
    for make in ALL {
        for respond in [silent, trickling] {
            let (sink, seen) = database(make, respond).await;
            let points = [point(1)];
            let asked = async {
                while seen.lock().unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
                // From now on, time passes as fast as all wait for it.
                tokio::time::pause();
            };
            let (outcome, ()) = tokio::join!(sink.write(&points), asked);
            tokio::time::resume();
            assert_eq!(outcome.unwrap_err().kind(), &SinkErrorKind::TookTooLong);
        }
    }
}

#[tokio::test]
async fn a_databases_own_time_limit_is_a_call_for_fewer_points() {
    for (version, text) in [
        (Version::One, "{\"error\":\"timeout\"}"),
        (Version::Two, "{\"message\":\"unexpected error writing points to database: timeout\"}"),
    ] {
        let answer = Answer { status: 500, retry_after: None, text: text.to_owned() };
        let error = verdict(version, &answer, 5).unwrap_err();
        assert_eq!(error.kind(), &SinkErrorKind::TookTooLong);
    }
}

#[tokio::test]
async fn the_bad_line_is_found_and_the_rest_written() {
    for make in ALL {
        let respond: Respond =
            |_, body| status(if body.contains("m n=13i 13") { 400 } else { 204 });
        let (sink, seen) = database(make, respond).await;
        let error = sink.write(&points(0..32)).await.unwrap_err();
        let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
        assert_eq!(refused.iter().map(|refused| refused.index).collect::<Vec<_>>(), [13]);
        let seen = seen.lock().unwrap();
        let written: String = seen
            .iter()
            .filter(|(_, body)| !body.contains("n=13i") && !body.starts_with('#'))
            .map(|(_, body)| body.as_str())
            .collect();
        let expected: String =
            (0..32).filter(|n| *n != 13).map(|n| format!("m n={n}i {n}\n")).collect();
        assert_eq!(written, expected);
    }
}

/// As InfluxDB 1.6.7 answers.
#[tokio::test]
async fn influxdb1_says_why_and_a_missing_retention_policy_is_for_the_operator() {
    let respond: Respond = |_, body| {
        match body.contains("n=2i") {
        true => (
            400,
            "Content-Type: application/json\r\n",
            "{\"error\":\"partial write: field type conflict: input field \\\"n\\\" on measurement \
             \\\"m\\\" is type integer, already exists as type float dropped=1\"}\n"
                .to_owned(),
        ),
        false => status(204),
    }
    };
    let (sink, _) = database(one, respond).await;
    let error = sink.write(&points(0..4)).await.unwrap_err();
    let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
    let [line] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!(line.index, 2);
    assert!(line.reason.contains("field type conflict"), "{}", line.reason);

    let respond: Respond =
        |_, _| (500, "", "{\"error\":\"retention policy not found: nope\"}\n".to_owned());
    let (sink, _) = database(one, respond).await;
    let error = sink.write(&[point(1)]).await.unwrap_err();
    assert_eq!(error.kind(), &SinkErrorKind::Fatal);
}

/// As InfluxDB 3's documentation says.
#[tokio::test]
async fn influxdb3_names_the_lines_that_it_refuses() {
    let respond: Respond = |_, _| {
        let text = r#"{"error": "partial write of line protocol occurred", "data": [
            {"original_line": "m n=2i 2", "line_number": 2, "error_message": "invalid column type"},
            {"original_line": "m n=4i 4", "line_number": 4, "error_message": "another"}]}"#;
        (400, "Content-Type: application/json\r\n", text.to_owned())
    };
    let (sink, seen) = database(three, respond).await;
    let error = sink.write(&points(1..6)).await.unwrap_err();
    let SinkErrorKind::LinesRefused(refused) = error.kind() else { panic!("{error:?}") };
    let refused: Vec<_> = refused.iter().map(|line| (line.index, &*line.reason)).collect();
    assert_eq!(refused, [(1, "400: invalid column type"), (3, "400: another")]);
    assert_eq!(seen.lock().unwrap().len(), 1, "nothing is looked for");
}

#[tokio::test]
async fn what_influxdb3_does_not_name_is_looked_for() {
    // Where partial writes are off; a line that isn't there; no JSON.
    for text in [
        r#"{"error": "parsing failed for write_lp endpoint", "data": {"original_line": "m n=2i 2",
            "line_number": 2, "error_message": "invalid column type"}}"#,
        r#"{"error": "partial write of line protocol occurred", "data": [
            {"original_line": "", "line_number": 9, "error_message": "x"}]}"#,
        r#"{"error": "partial write of line protocol occurred", "data": [
            {"original_line": "", "line_number": 0, "error_message": "x"}]}"#,
        r#"{"error": "partial write of line protocol occurred", "data": []}"#,
        "no JSON",
    ] {
        let answer = Answer { status: 400, retry_after: None, text: text.to_owned() };
        let verdict = verdict(Version::Three, &answer, 5).unwrap();
        assert!(matches!(verdict, Verdict::Refused(_)), "{text}: {verdict:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_split() {
    for make in ALL {
        let respond: Respond = |_, body| status(if body.len() > 30 { 413 } else { 204 });
        let (sink, seen) = database(make, respond).await;
        sink.write(&points(1..9)).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 1 + 2 + 4);
    }
}

#[tokio::test]
async fn a_failure_in_the_search_is_no_verdict_on_lines() {
    for make in ALL {
        let respond: Respond = |_, body| status(if body.lines().count() > 2 { 400 } else { 503 });
        let (sink, _) = database(make, respond).await;
        assert!(sink.write(&points(1..9)).await.unwrap_err().is_retryable());
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_tried_again() {
    // Bound and dropped: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    for make in ALL {
        let error = make(&url, "T0KEN".into()).unwrap().write(&[point(1)]).await.unwrap_err();
        assert!(error.is_retryable());
        assert!(!error.report().contains("T0KEN"));
    }
}

#[tokio::test]
async fn a_connection_that_the_database_ended_is_no_failure() {
    for make in ALL {
        let (sink, seen) =
            database(make, |_, _| (204, "Connection: close\r\n", String::new())).await;
        for n in 0..5 {
            sink.write(&[point(n)]).await.unwrap();
        }
        assert_eq!(seen.lock().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_refused_credential_is_read_again_from_its_file() {
    /// Takes `right` alone, as token or as password of `me`.
    fn respond(head: &str, _: &str) -> (u16, &'static str, String) {
        status(if head.contains("right") || head.contains("bWU6cmlnaHQ=") { 204 } else { 401 })
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    for make in ALL {
        std::fs::write(&file, "wrong\n").unwrap();
        let (url, seen) = stub::start(respond).await;
        let sink = make(&url, Secret::file(&file).unwrap()).unwrap();
        for attempt in ["wrong", "", "no\ntoken", "also wrong"] {
            std::fs::write(&file, attempt).unwrap();
            let error = sink.write(&[point(1)]).await.unwrap_err();
            assert_eq!(error.kind(), &SinkErrorKind::Fatal);
            assert!(!error.report().contains("wrong"), "{}", error.report());
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(sink.write(&[point(1)]).await.unwrap_err().kind(), &SinkErrorKind::Fatal);
        std::fs::write(&file, "right\n").unwrap();
        sink.write(&[point(1)]).await.unwrap();
        let before = seen.lock().unwrap().len();
        sink.write(&[point(2)]).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), before + 1, "it is kept");
    }
}

#[test]
fn a_configuration_that_cant_work_is_refused() {
    for (url, why) in [
        ("http://db:8086/influx", "has a path"),
        ("http://user:pw@db:8086", "alone"),
        ("https://db:8086?x=1", "alone"),
        ("ftp://db", "https://"),
        ("db:8086", "https://"),
        ("", "can't be read"),
    ] {
        let error = Server::new(url).unwrap_err();
        assert_eq!(error.kind(), &SinkErrorKind::Fatal);
        assert!(error.to_string().contains(why), "{url}: {error}");
    }
    assert!(two("http://db", "a\nb".into()).is_err());
    assert!(three("http://db", "a\u{e4}".into()).is_err());
    let server = Server::new("http://db").unwrap();
    let user = Some(InfluxDb1User { name: "a:b".to_owned(), password: "c".into() });
    let database = "d".to_owned();
    assert!(
        InfluxDb1::new(InfluxDb1Config { server, database, retention_policy: None, user }).is_err()
    );
}

#[test]
fn addresses_are_what_a_resolver_and_a_host_header_take() {
    for (url, host, port, authority) in [
        ("http://db", "db", 80, "db"),
        ("https://db/", "db", 443, "db"),
        ("http://[::1]:8086", "::1", 8086, "[::1]:8086"),
        ("http://127.0.0.1:8086", "127.0.0.1", 8086, "127.0.0.1:8086"),
    ] {
        let server = Server::new(url).unwrap();
        assert_eq!((server.host(), server.port()), (host, port));
        assert_eq!(server.authority(), authority);
    }
}

#[test]
fn s4_the_token_is_not_shown() {
    let secret = Secret::from("T0KEN");
    assert!(!format!("{secret:?}").contains("T0KEN"));
    let server = Server::new("http://db:8086").unwrap();
    let config = InfluxDb3Config { server, database: "d".to_owned(), token: secret };
    assert!(!format!("{config:?}").contains("T0KEN"));
    assert!(!format!("{:?}", InfluxDb3::new(config).unwrap()).contains("T0KEN"));
}
