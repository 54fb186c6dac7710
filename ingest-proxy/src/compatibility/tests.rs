//! Requests as clients of InfluxDB make them, on streams of circuits: what is answered, what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use undertone_wire::{
    Point,
    batch::Payload,
    endpoint::DeploymentId,
    influxdb::Token,
    parcel::{Age, Parcel, ParcelId},
    request::PATH,
    schema::Schema,
    session::SessionKey,
};

use super::*;
use crate::{
    front::Answer,
    http::Http,
    queue::{Queue, QueueLimits},
    schemas::Schemas,
};

const TAKEN: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const MALFORMED: &str =
    "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const LARGE: &str =
    "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const LATER: &str =
    "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const PONG: &str =
    "HTTP/1.1 204 No Content\r\nconnection: close\r\nx-influxdb-version: 1.8.0\r\n\r\n";

struct Fixture {
    http: Http,
    admission: Arc<Admission>,
    queue: Queue,
    circuit: Arc<Circuit>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(config: CompatibilityConfig) -> Self {
        Self::limited(config, Limits::default()).await
    }

    async fn limited(config: CompatibilityConfig, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), QueueLimits::default()).unwrap();
        queue.register_sinks(&["main"]).await.unwrap();
        let mut schemas = Schemas::default();
        schemas.insert(
            Schema::from_toml(
                "namespace = \"app\"\n[[measurement]]\nname = \"hits\"\nkind = \"counter\"\n\
                 description = \"Hits.\"\n",
            )
            .unwrap(),
        );
        schemas.insert(Schema::open("fleet").unwrap());
        let (schemas, limits) = (CurrentSchemas::from(schemas), Arc::new(limits));
        let admission = Admission::open(
            DeploymentId::from([9; 32]),
            schemas.clone(),
            queue.clone(),
            Arc::clone(&limits),
        );
        let admission = Arc::new(admission.await.unwrap());
        let (theirs, limiting) = (Arc::clone(&admission), Arc::clone(&limits));
        let compatibility =
            Compatibility::open(config, folder.path(), theirs, schemas, limiting).unwrap();
        let http = Http::new(Arc::clone(&admission), limits, Some(Arc::new(compatibility)));
        Self { http, admission, queue, circuit: Arc::default(), _folder: folder }
    }

    /// What these bytes are answered with.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1_024);
        let answered = self.http.clone().answer(server, Arc::clone(&self.circuit));
        tokio::spawn(answered);
        client.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn write(&self, target: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
        self.exchange(&[head.as_bytes(), headers.as_bytes(), b"\r\n", body].concat()).await
    }

    /// What was stored since the last time, without sessions, and the sessions.
    async fn stored(&self) -> (Vec<Point>, BTreeSet<String>) {
        let batch = self.queue.read("main", 100_000).await.unwrap();
        if let Some(through) = batch.through {
            self.queue.advance("main", through, Vec::new()).await.unwrap();
        }
        let mut sessions = BTreeSet::new();
        let points = batch.points.into_iter().map(|mut point| {
            sessions.insert(point.tags.remove("session").unwrap().to_string());
            point
        });
        (points.collect(), sessions)
    }

    fn refused(&self) -> Vec<(String, u64)> {
        self.queue.stats().refused().map(|(reason, count)| (reason.to_owned(), count)).collect()
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A time some seconds ago, in nanoseconds.
fn ago(seconds: u64) -> i64 {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

fn point(measurement: &str, time: i64) -> Point {
    Point::new(measurement).field("b", 1.0).at(time)
}

#[tokio::test]
async fn s1_the_routes_of_clients_are_four_and_all_else_is_the_same_400() {
    let fixture = Fixture::new(CompatibilityConfig::default()).await;
    let request = |method: &str, target: &str| {
        format!("{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na b")
            .into_bytes()
    };
    let plain = |method: &str, target: &str| {
        format!("{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
    };
    for (method, target) in [
        ("GET", "/ping"),
        ("HEAD", "/ping"),
        ("GET", "/ping?wait_for_leader=1s"),
        ("GET", "/ping?verbose=true"),
    ] {
        assert_eq!(fixture.exchange(&plain(method, target)).await, PONG, "{method} {target}");
    }
    for (method, target) in [
        ("POST", "/ping"),
        ("GET", "/ping/"),
        ("GET", "/write"),
        ("PUT", "/write"),
        ("DELETE", "/write"),
        ("OPTIONS", "/write"),
        ("POST", "/write/"),
        ("POST", "//write"),
        ("POST", "/api/v2/write/"),
        ("POST", "/api/v2/Write"),
        ("POST", "/api/v3/write_lp?db=a"),
        ("POST", "/query?q=DROP+DATABASE+a"),
        ("GET", "/query?q=SHOW+DATABASES"),
        ("POST", "/api/v2/query?org=o"),
        ("POST", "/api/v2/delete?org=o&bucket=b"),
        ("GET", "/api/v2/buckets"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/debug/vars"),
        ("GET", "/"),
        ("POST", "http://x/write"),
        ("GET", "http://127.0.0.1:8086/ping"),
    ] {
        assert_eq!(
            fixture.exchange(&request(method, target)).await,
            MALFORMED,
            "{method} {target}"
        );
    }
    // The native route stays as it is.
    let chunked =
        format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(fixture.exchange(chunked.as_bytes()).await, MALFORMED);
    let payload = Payload::encode(&[]).unwrap();
    let parcel = Parcel::seal(
        &SessionKey::from_seed(&[1; 32]),
        ParcelId([1; 16]),
        &DeploymentId::from([9; 32]),
        &payload,
    );
    assert_eq!(fixture.write(PATH, "", &parcel.body(Age(0))).await, TAKEN);
    assert_eq!(fixture.stored().await.0, []);
}

#[tokio::test]
async fn times_are_in_the_unit_that_is_asked_for_or_of_the_proxy() {
    let fixture = Fixture::new(CompatibilityConfig::default()).await;
    let (minute, hour) = (60_000_000_000, 3_600_000_000_000);
    for (target, unit, taken) in [
        ("/write", 1, true),
        ("/write?db=a&rp=&consistency=&precision=", 1, true),
        ("/write?precision=n", 1, true),
        ("/write?precision=ns", 1, true),
        ("/write?precision=u", 1_000, true),
        ("/write?precision=us", 1_000, true),
        ("/write?precision=%C2%B5", 1_000, true),
        ("/write?precision=ms", 1_000_000, true),
        ("/write?precision=s", 1_000_000_000, true),
        ("/write?precision=m", minute, true),
        ("/write?precision=h", hour, true),
        ("/write?precision=d", 1, false),
        ("/api/v2/write?org=o&bucket=b", 1, true),
        ("/api/v2/write?orgID=o&bucket=b&precision=ns", 1, true),
        ("/api/v2/write?precision=us", 1_000, true),
        ("/api/v2/write?precision=ms", 1_000_000, true),
        ("/api/v2/write?precision=s", 1_000_000_000, true),
        ("/api/v2/write?precision=m", minute, false),
        ("/api/v2/write?precision=n", 1, false),
    ] {
        let own = ago(2 * 3_600) / unit;
        let lines = format!("own b=1 {own}\nours b=1\n");
        let expected = if taken { TAKEN } else { MALFORMED };
        let before = ago(0);
        assert_eq!(fixture.write(target, "", lines.as_bytes()).await, expected, "{target}");
        let (points, _) = fixture.stored().await;
        if !taken {
            assert_eq!(points, [], "{target}");
            continue;
        }
        assert_eq!(points[0], point("own", own * unit), "{target}");
        let ours = points[1].timestamp.unwrap();
        assert!(ours >= before - before % unit && ours <= ago(0) && ours % unit == 0, "{target}");
    }
}

#[tokio::test]
async fn s3_lines_are_written_anew_and_bad_ones_are_counted_and_cost_no_good_one() {
    let config = CompatibilityConfig { text_bytes: 4, ..CompatibilityConfig::default() };
    let fixture = Fixture::new(config).await;
    let now = ago(1);
    let long = "x".repeat(257);
    let many: String = (0..33).map(|n| format!(",t{n}=v")).collect();
    // (a line without its time, what is stored of it, why it is refused)
    let cases: Vec<(String, Option<Point>, Option<&str>)> = vec![
        ("a b=1".into(), Some(point("a", now)), None),
        (
            "a,t=v\\ w b=1,c=2i".into(),
            Some(point("a", now).tag("t", "v w").field("c", 2_i64)),
            None,
        ),
        ("a,session=me b=1".into(), Some(point("a", now)), None),
        ("a,ses\\sion=me b=1".into(), Some(point("a", now).tag("ses\\sion", "me")), None),
        ("a,Session=me b=1".into(), Some(point("a", now).tag("Session", "me")), None),
        ("a b=1,t=\"text\"".into(), Some(point("a", now).field("t", "text")), None),
        ("a b=1,t=\"texts\"".into(), Some(point("a", now)), Some("text")),
        ("a t=\"texts\"".into(), None, Some("text")),
        ("a b=".into(), None, Some("line")),
        ("a,t= b=1".into(), None, Some("line")),
        ("a,session=a,session=b b=1".into(), None, Some("line")),
        ("a,time=1 b=1".into(), None, Some("line")),
        ("a b=NaN".into(), None, Some("line")),
        ("app.hits.count count=1i,delta=1i".into(), None, Some("measurement")),
        ("app.other b=1".into(), None, Some("measurement")),
        ("app b=1".into(), None, Some("measurement")),
        ("fleet.load b=1".into(), None, Some("measurement")),
        ("apple b=1".into(), Some(point("apple", now)), None),
        (format!("{long} b=1"), None, Some("size")),
        (format!("a,t={long} b=1"), None, Some("size")),
        (format!("a{many} b=1"), None, Some("size")),
    ];
    let lines: String = cases.iter().map(|(line, ..)| format!("{line} {now}\n")).collect();
    let bytes = [lines.as_bytes(), b"\xff b=1\n"].concat();
    assert_eq!(fixture.write("/write?db=a", "", &bytes).await, TAKEN);
    let (points, sessions) = fixture.stored().await;
    let expected: Vec<Point> = cases.iter().filter_map(|(_, point, _)| point.clone()).collect();
    assert_eq!(points, expected);
    assert_eq!(sessions.len(), 1);
    let mut refused: BTreeMap<String, u64> = BTreeMap::from([("line".to_owned(), 1)]);
    for (.., reason) in &cases {
        if let Some(reason) = reason {
            *refused.entry((*reason).to_owned()).or_default() += 1;
        }
    }
    assert_eq!(fixture.refused(), refused.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn own_times_are_kept_within_bounds_and_measurements_within_those_allowed() {
    let config = CompatibilityConfig {
        oldest: Duration::from_secs(3_600),
        newest: Duration::from_secs(60),
        measurements: vec!["geth.".to_owned(), "cpu".to_owned()],
        ..CompatibilityConfig::default()
    };
    let fixture = Fixture::new(config).await;
    let times = [ago(3_500), ago(3_700), ago(0) + 30_000_000_000, ago(0) + 90_000_000_000, -1];
    let lines: String = times.iter().map(|time| format!("geth.x b=1 {time}\n")).collect();
    let lines = format!("{lines}cpu b=1\nmem b=1\ngethx b=1\n");
    assert_eq!(fixture.write("/write", "", lines.as_bytes()).await, TAKEN);
    let (points, _) = fixture.stored().await;
    let names: Vec<&str> = points.iter().map(|point| point.measurement.as_str()).collect();
    assert_eq!(names, ["geth.x", "geth.x", "cpu"]);
    assert_eq!((points[0].timestamp, points[1].timestamp), (Some(times[0]), Some(times[2])));
    assert_eq!(fixture.refused(), [("measurement".to_owned(), 2), ("time".to_owned(), 3)]);
}

#[tokio::test]
async fn s2_bodies_are_bounded_however_they_come() {
    let config = CompatibilityConfig {
        body_bytes: 1_000,
        decompressed_bytes: 2_000,
        lines: 10,
        ..CompatibilityConfig::default()
    };
    let fixture = Fixture::new(config).await;
    let lines = |count: usize| "a b=1\n".repeat(count).into_bytes();
    let comments = |bytes: usize| [b"a b=1\n#", "x".repeat(bytes).as_bytes()].concat();
    let gzipped = "content-encoding: gzip\r\n";
    let expects = "expect: 100-continue\r\n";
    for (what, headers, body, expected) in [
        ("nothing", "", Vec::new(), TAKEN),
        ("few lines", "", lines(10), TAKEN),
        ("many lines", "", lines(11), LARGE),
        ("gzip", gzipped, gzip(&lines(10)), TAKEN),
        ("a large body", "", comments(1_001), LARGE),
        ("a large body in few bytes", gzipped, gzip(&comments(1_500)), TAKEN),
        ("a bomb", gzipped, gzip(&comments(500_000)), LARGE),
        ("no gzip", gzipped, lines(1), MALFORMED),
        ("half a gzip", gzipped, gzip(&lines(10))[..20].to_vec(), MALFORMED),
        ("another encoding", "content-encoding: zstd\r\n", lines(1), MALFORMED),
        ("two lengths", "transfer-encoding: chunked\r\n", lines(1), MALFORMED),
        ("an expectation", expects, lines(1), "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let answer = fixture.write("/api/v2/write?bucket=b", headers, &body).await;
        if headers == expects {
            assert_eq!(answer, format!("{expected}{TAKEN}"), "{what}");
        } else {
            assert_eq!(answer, expected, "{what}");
        }
    }
    // As Go's clients send what they compress while they send it.
    let body = gzip(b"chunked b=1\n");
    let (one, two) = body.split_at(7);
    let mut chunked = b"POST /write?db=a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
                        content-encoding: gzip\r\n\r\n7\r\n"
        .to_vec();
    chunked.extend(
        [one, format!("\r\n{:x}\r\n", two.len()).as_bytes(), two, b"\r\n0\r\n\r\n"].concat(),
    );
    fixture.stored().await;
    assert_eq!(fixture.exchange(&chunked).await, TAKEN);
    assert_eq!(fixture.stored().await.0[0].measurement, "chunked");
    let endless = "POST /write HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_owned()
        + &format!("ff\r\n{}\r\n", "#".repeat(255)).repeat(7)
        + "0\r\n\r\n";
    assert_eq!(fixture.exchange(endless.as_bytes()).await, LARGE);
}

#[tokio::test]
async fn s1_without_the_token_or_a_database_s_name_every_route_is_the_same_400() {
    let config = CompatibilityConfig {
        token: Some(Token::new("0123456789abcdef").unwrap()),
        databases: vec!["mydb".to_owned()],
        ..CompatibilityConfig::default()
    };
    let fixture = Fixture::new(config).await;
    let token = "authorization: Token 0123456789abcdef\r\n";
    let basic = "authorization: Basic dToxMjM=\r\n";
    for (target, headers, expected) in [
        ("/write?db=mydb", token, TAKEN),
        ("/write?db=mydb&u=me&p=0123456789abcdef", "", TAKEN),
        ("/write?db=mydb", "authorization: Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==\r\n", TAKEN),
        ("/api/v2/write?bucket=mydb&org=o", token, TAKEN),
        ("/write?db=mydb", "", MALFORMED),
        ("/write?db=mydb", basic, MALFORMED),
        ("/write?db=mydb&p=0123456789abcdeg", "", MALFORMED),
        ("/write?db=other", token, MALFORMED),
        ("/write", token, MALFORMED),
        ("/write?bucket=mydb", token, MALFORMED),
        ("/api/v2/write?db=mydb", token, MALFORMED),
    ] {
        let answer = fixture.write(target, headers, b"a b=1").await;
        assert_eq!(answer, expected, "{target} {headers}");
    }
    let ping = |headers: &str| format!("GET /ping HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    assert_eq!(fixture.exchange(ping("").as_bytes()).await, MALFORMED);
    assert_eq!(fixture.exchange(ping(token).as_bytes()).await, PONG);
    assert_eq!(fixture.stored().await.0.len(), 4);
}

#[tokio::test]
async fn s3_sessions_are_by_circuit_or_by_the_client_s_own_tag() {
    let lines = b"a,id=one b=1\na,id=two b=1\na b=1\n";
    let mut fixture = Fixture::new(CompatibilityConfig::default()).await;
    assert_eq!(fixture.write("/write", "", lines).await, TAKEN);
    let (points, first) = fixture.stored().await;
    assert_eq!(points[0].tags.get("id").map(|id| id.as_str()), Some("one"), "a tag like any other");
    assert_eq!(fixture.write("/write", "", lines).await, TAKEN);
    assert_eq!(fixture.stored().await.1, first, "one circuit, one session");
    fixture.circuit = Arc::default();
    assert_eq!(fixture.write("/write", "", lines).await, TAKEN);
    let (_, second) = fixture.stored().await;
    assert_eq!((first.len(), second.len(), first.is_disjoint(&second)), (1, 1, true));

    let config = CompatibilityConfig {
        session: ClientSession::Client,
        client_tag: "id".to_owned(),
        ..CompatibilityConfig::default()
    };
    let mut fixture = Fixture::new(config).await;
    assert_eq!(fixture.write("/write", "", lines).await, TAKEN);
    let (points, first) = fixture.stored().await;
    assert!(points.iter().all(|point| point.tags.is_empty()), "what it was made of is not stored");
    fixture.circuit = Arc::default();
    assert_eq!(fixture.write("/write", "", lines).await, TAKEN);
    let (_, second) = fixture.stored().await;
    let both: Vec<&String> = first.intersection(&second).collect();
    assert_eq!((first.len(), second.len(), both.len()), (3, 3, 2), "the third is of its circuit");
    let many: String = (0..20).map(|n| format!("a,id=n{n} b=1\n")).collect();
    assert_eq!(fixture.write("/write", "", many.as_bytes()).await, TAKEN);
    assert_eq!(fixture.stored().await.1.len(), SESSIONS_OF_A_BODY);
    assert_eq!(fixture.refused(), [("sessions_of_a_body".to_owned(), 4)]);
}

#[tokio::test]
async fn p7_a_circuit_is_an_agent_s_or_somebody_s_who_signs_nothing() {
    let mut fixture = Fixture::new(CompatibilityConfig::default()).await;
    let parcel = |id| {
        let hits = Point::new("app.hits.count").field("count", 1_i64).field("delta", 1_i64).at(0);
        let session = SessionKey::from_seed(&[1; 32]);
        let payload = Payload::encode(&[hits]).unwrap();
        Parcel::seal(&session, ParcelId([id; 16]), &DeploymentId::from([9; 32]), &payload)
            .body(Age(0))
    };
    assert_eq!(fixture.write(PATH, "", &parcel(1)).await, TAKEN);
    assert_eq!(fixture.write("/write", "", b"a b=1").await, TAKEN);
    let (points, _) = fixture.stored().await;
    assert_eq!((points.len(), points[0].measurement.as_str()), (1, "app.hits.count"));
    fixture.circuit = Arc::default();
    assert_eq!(fixture.write("/write", "", b"a b=1").await, TAKEN);
    assert_eq!(fixture.write(PATH, "", &parcel(2)).await, TAKEN);
    let (points, _) = fixture.stored().await;
    assert_eq!((points.len(), points[0].measurement.as_str()), (1, "a"));
    let refused = fixture.refused();
    assert_eq!(refused, [("second_session_on_circuit".to_owned(), 2)]);
}

#[tokio::test]
async fn s2_who_signs_nothing_is_limited_like_agents_and_told_to_come_again() {
    let limits = Limits {
        new_sessions_per_hour: 1,
        series_per_session: 2,
        requests_per_session_per_minute: 1,
        requests_per_session_burst: 2,
        ..Limits::default()
    };
    let mut fixture = Fixture::limited(CompatibilityConfig::default(), limits).await;
    assert_eq!(fixture.write("/write", "", b"a b=1\nc b=1\nd b=1\n").await, TAKEN);
    assert_eq!(fixture.stored().await.0.len(), 2);
    assert_eq!(fixture.refused(), [("session_series".to_owned(), 1)]);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(fixture.write("/write", "", b"a b=1").await);
    }
    assert_eq!(answers, [TAKEN, TAKEN, LATER]);
    fixture.circuit = Arc::default();
    assert_eq!(fixture.write("/write", "", b"a b=1").await, LATER, "no place for another session");
    let excess: Vec<_> = fixture.admission.counts().excess().filter(|(_, n)| *n > 0).collect();
    assert_eq!(excess, [("session", 1), ("new_session", 1)]);
}

#[tokio::test]
async fn d1_what_is_answered_with_204_is_in_the_queue_and_what_fails_is_asked_for_again() {
    let fixture = Fixture::new(CompatibilityConfig::default()).await;
    assert_eq!(fixture.write("/write", "", b"a b=1").await, TAKEN);
    assert_eq!(fixture.queue.stats().admitted().points, 1);
    // The same again without a time is another point; with one it overwrites itself in databases.
    let same = format!("a b=1 {}", ago(1));
    for _ in 0..2 {
        assert_eq!(fixture.write("/write", "", same.as_bytes()).await, TAKEN);
    }
    let (points, _) = fixture.stored().await;
    assert_eq!((points.len(), points[1] == points[2]), (3, true));
    fixture.queue.clone().close().await.unwrap();
    for body in ["a b=1", "a b="] {
        assert_eq!(fixture.write("/write", "", body.as_bytes()).await, LATER, "{body}");
    }
}
