//! Who may ask, as a table of requests and statuses. A failure: a web page, or a program without the
//! token, that writes through TCP. Not a failure: anything from who can open the unix socket.

use undertone_collectors::listener::Limits;

use crate::serving::{Answer, Serving, TOKEN, exchange};

/// A request line and headers; `{HOST}`, `{PORT}`, `{TOKEN}` stand for what is right, `{BASIC:…}` for what is
/// in it in base 64.
fn ask(serving: &Serving, method_and_target: &str, headers: &str) -> Answer {
    let mut request = format!(
        "{method_and_target} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 4\r\n\r\na b=1"
    );
    request = request
        .replace("{HOST}", &serving.address.to_string())
        .replace("{PORT}", &serving.address.port().to_string())
        .replace("{TOKEN}", TOKEN);
    if let Some((before, rest)) = request.clone().split_once("{BASIC:") {
        let (text, after) = rest.split_once('}').unwrap();
        let text = data_encoding::BASE64.encode(text.as_bytes());
        request = format!("{before}Basic {text}{after}");
    }
    exchange(serving.tcp(), request.replace("Length: 4", "Length: 5").as_bytes())
}

const V1: &str = "POST /write?db=d";
const V2: &str = "POST /api/v2/write?org=o&bucket=b";

#[test]
fn on_tcp_token_host_and_origin_decide() {
    let serving = Serving::start(Limits::default());
    for (target, headers, status) in [
        // Every way in which clients give a token or a password.
        (V2, "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\n", 204),
        (V2, "Host: {HOST}\r\nAuthorization: token  {TOKEN}\r\n", 204),
        (V2, "Host: localhost:{PORT}\r\nAuthorization: Bearer {TOKEN}\r\n", 204),
        (V1, "Host: {HOST}\r\nAuthorization: Token user:{TOKEN}\r\n", 204),
        (V1, "Host: {HOST}\r\nAuthorization: Bearer {TOKEN}\r\n", 204),
        (V1, "Host: {HOST}\r\nAuthorization: {BASIC:user:{TOKEN}}\r\n", 204),
        (V1, "Host: {HOST}\r\nAuthorization: {BASIC::{TOKEN}}\r\n", 204),
        ("POST /write?db=d&u=user&p={TOKEN}", "Host: {HOST}\r\n", 204),
        ("GET /ping", "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\n", 204),
        ("HEAD /ping", "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\n", 204),
        ("GET /health", "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\n", 200),
        // None, or a wrong one.
        (V2, "Host: {HOST}\r\n", 401),
        (V1, "Host: {HOST}\r\n", 401),
        ("GET /ping", "Host: {HOST}\r\n", 401),
        ("GET /health", "Host: {HOST}\r\n", 401),
        ("GET /nowhere", "Host: {HOST}\r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: Token\r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: Token \r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: Token {TOKEN}x\r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: Token 0123456789\r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: {TOKEN}\r\n", 401),
        (V2, "Host: {HOST}\r\nAuthorization: Digest {TOKEN}\r\n", 401),
        (V1, "Host: {HOST}\r\nAuthorization: {BASIC:{TOKEN}:user}\r\n", 401),
        (V1, "Host: {HOST}\r\nAuthorization: {BASIC:{TOKEN}}\r\n", 401),
        (V1, "Host: {HOST}\r\nAuthorization: Basic ====\r\n", 401),
        ("POST /write?db=d&u={TOKEN}", "Host: {HOST}\r\n", 401),
        ("POST /write?db=d&u=user&p=", "Host: {HOST}\r\n", 401),
        // A web page, which may know everything but can't leave out `Origin`.
        (V2, "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\nOrigin: http://{HOST}\r\n", 403),
        (V2, "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\nOrigin: null\r\n", 403),
        ("OPTIONS /api/v2/write", "Host: {HOST}\r\nOrigin: https://example.org\r\n", 403),
        // A name that was made to lead here.
        (V2, "Host: example.org:{PORT}\r\nAuthorization: Token {TOKEN}\r\n", 403),
        (V2, "Host: 127.0.0.1\r\nAuthorization: Token {TOKEN}\r\n", 403),
        (V2, "Host: localhost\r\nAuthorization: Token {TOKEN}\r\n", 403),
        (V2, "Host: {HOST}.example.org\r\nAuthorization: Token {TOKEN}\r\n", 403),
        (V2, "Host: {HOST}\r\nHost: example.org\r\nAuthorization: Token {TOKEN}\r\n", 403),
        (V2, "Authorization: Token {TOKEN}\r\n", 403),
        ("POST http://example.org/write", "Host: {HOST}\r\nAuthorization: Token {TOKEN}\r\n", 403),
    ] {
        let answer = ask(&serving, target, headers);
        assert_eq!(answer.status, status, "{target}\n{headers}{answer:?}");
        let written = usize::from(status == 204 && target.contains("write"));
        assert_eq!(serving.points().len(), written, "{target}\n{headers}");
        assert!(!answer.head.contains("access-control"), "{answer:?}");
        assert!(!answer.body.contains(TOKEN), "{answer:?}");
    }
}

#[test]
fn on_the_unix_socket_its_mode_decides() {
    let serving = Serving::start(Limits::default());
    for headers in ["", "Authorization: Token wrong\r\n", "Origin: null\r\n"] {
        assert_eq!(serving.write("/write", headers, b"a b=1").status, 204, "{headers}");
        assert_eq!(serving.points().len(), 1);
    }
}

#[test]
fn there_are_these_routes_and_no_others() {
    let serving = Serving::start(Limits::default());
    let create = "CREATE%20DATABASE%20%22a%20b%22";
    for (target, status) in [
        ("POST /write", 204),
        ("POST /write?db=d&rp=r&precision=s&consistency=one", 204),
        ("POST /api/v2/write?precision=us", 204),
        ("GET /ping?wait_for_leader=1s", 204),
        ("HEAD /ping", 204),
        ("GET /health", 200),
        (&format!("POST /query?q={create}"), 200),
        (&format!("GET /query?q={create}"), 404),
        ("POST /query?q=SHOW+DATABASES", 404),
        ("POST /query?q=DROP+DATABASE+a", 404),
        ("POST /query", 404),
        ("GET /write", 404),
        ("PUT /write", 404),
        ("POST /write/", 404),
        ("POST //write", 404),
        ("POST /ping", 404),
        ("GET /", 404),
        ("GET /metrics", 404),
        ("GET /api/v2/buckets", 404),
        ("POST /api/v2/query", 404),
        ("DELETE /api/v2/write", 404),
        ("OPTIONS *", 404),
        ("POST /write?precision=d", 400),
        ("POST /api/v2/write?precision=m", 400),
        ("POST /api/v2/write?precision=n", 400),
    ] {
        let request = format!(
            "{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\na b=1"
        );
        let answer = exchange(serving.unix(), request.as_bytes());
        assert_eq!(answer.status, status, "{target} {answer:?}");
        if status >= 400 {
            let key = if target.contains("/api/") { "message" } else { "error" };
            assert!(answer.json()[key].is_string(), "{target} {answer:?}");
        }
    }
}

#[test]
fn databases_are_created_as_clients_expect() {
    let serving = Serving::start(Limits::default());
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = serving.write("/query", form, b"db=&q=CREATE+DATABASE+%22telegraf%22");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, r#"{"results":[{"statement_id":0}]}"#);
}
