//! What a tor, and what no tor, sends to the socket.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};
use undertone_wire::session::SessionKey;

use super::*;
use crate::front::Connection;

const STREAMS_PER_CIRCUIT: u32 = 4;

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

/// Takes the first byte of a stream for a session, says whether its circuit is of that session, and
/// sends back what follows.
#[derive(Clone)]
struct Echo(Arc<watch::Sender<u32>>);

impl Answer for Echo {
    async fn answer(self, mut stream: impl Connection, circuit: Arc<Circuit>) {
        self.0.send_modify(|answered| *answered += 1);
        let Ok(key) = stream.read_u8().await else { return };
        let belongs = circuit.belongs_to(SessionKey::from_seed(&[key; 32]).public());
        let _ = stream.write_all(if belongs { b"yes " } else { b"no " }).await;
        let (mut from, mut to) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut from, &mut to).await;
    }
}

/// A front that serves.
struct Fixture {
    path: PathBuf,
    answered: watch::Receiver<u32>,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    front: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ingest.sock");
        let socket = Socket::bind(&config(&path, 0o660), &Limits::default()).await.unwrap();
        let (count, answered) = watch::channel(0);
        let (told, progress) = watch::channel(Progress::default());
        let (stop, stopped) = watch::channel(false);
        let front = tokio::spawn(socket.serve(Echo(Arc::new(count)), told, stopped));
        Self { path, answered, progress, stop, front, _folder: folder }
    }

    /// A stream that has sent these bytes.
    async fn sent(&self, bytes: impl AsRef<[u8]>) -> UnixStream {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        // Whoever closes early is free to; what it says is what counts.
        let _ = stream.write_all(bytes.as_ref()).await;
        stream
    }

    /// What is answered to a whole stream.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.sent(bytes).await;
        let _ = stream.shutdown().await;
        rest(stream).await
    }

    fn answered(&self) -> u32 {
        *self.answered.borrow()
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.front.await.unwrap();
        assert!(!self.path.exists(), "the socket is removed");
    }
}

fn config(path: &Path, mode: u32) -> UnixFront {
    UnixFront { path: path.to_owned(), mode, onion: ONION.parse().unwrap() }
}

/// Tor's line for a circuit.
fn line(number: u32) -> String {
    let (high, low) = (number >> 16, number & 0xffff);
    format!("PROXY TCP6 fc00:dead:beef:4dad::{high:x}:{low:x} ::1 {low} 80\r\n")
}

/// All that comes until the stream is closed.
async fn rest(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    // A stream that is closed before all was read from it is reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn p7_streams_with_one_number_share_a_circuit() {
    let front = Fixture::start().await;
    assert_eq!(front.exchange(line(1) + "asome bytes").await, "yes some bytes");
    assert_eq!(front.exchange(line(1) + "a").await, "yes ");
    assert_eq!(front.exchange(line(1) + "b").await, "no ");
    assert_eq!(front.exchange(line(0x1_0001) + "b").await, "yes ");
    assert!(front.progress.borrow().published);
    front.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s2_what_is_not_the_line_of_tor_is_closed_and_disturbs_nobody() {
    let front = Fixture::start().await;
    let mut good = front.sent(line(1) + "a").await;
    let mut answer = [0; 4];
    good.read_exact(&mut answer).await.unwrap();

    let request = "POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let garbage = vec![0xff; 100_000];
    let mut refused = 0;
    for (what, bytes) in [
        ("no line", request.as_bytes().to_vec()),
        ("garbage", garbage),
        ("garbage before the line", format!("x{}{request}", line(2)).into()),
        ("an empty line", format!("\r\n{}{request}", line(2)).into()),
        ("a line that is too long", format!("PROXY TCP6 {}{}", " ".repeat(200), line(2)).into()),
        ("IPv4", "PROXY TCP4 127.0.0.1 127.0.0.1 2 80\r\na".into()),
        ("UNKNOWN", "PROXY UNKNOWN\r\na".into()),
        ("a foreign address", line(2).replace("dead", "beef").into()),
        ("no number", (line(0) + "a").into()),
        ("version 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec()),
    ] {
        assert_eq!(rest(front.sent(bytes).await).await, "", "{what}");
        refused += 1;
        assert_eq!(front.progress.borrow().streams_refused, refused, "{what}");
    }
    // Those who say nothing, or too slowly, have the time of the limit, and no more.
    let silent = front.sent("").await;
    let slow = front.sent("PROXY TCP6 fc00").await;
    let gone = front.sent("").await;
    drop(gone);
    let begin = Instant::now();
    assert_eq!((rest(silent).await, rest(slow).await), (String::new(), String::new()));
    assert!(begin.elapsed() >= HEADER_LIMIT);
    assert_eq!(front.progress.borrow().streams_refused, refused + 2, "to look is no offence");

    assert_eq!(front.answered(), 1, "nothing of it was a request");
    good.write_all(b"still there").await.unwrap();
    good.shutdown().await.unwrap();
    assert_eq!((&answer[..], &*rest(good).await), (&b"yes "[..], "still there"));
    assert_eq!(front.exchange(line(2) + "b").await, "yes ", "nobody had a session there");
    front.stop().await;
}

#[tokio::test]
async fn s2_a_circuit_has_as_many_streams_as_an_agent_may_need() {
    let mut front = Fixture::start().await;
    let mut open = Vec::new();
    for _ in 0..STREAMS_PER_CIRCUIT {
        open.push(front.sent(line(1)).await);
    }
    front.answered.wait_for(|answered| *answered == STREAMS_PER_CIRCUIT).await.unwrap();
    assert_eq!(front.exchange(line(1) + "a").await, "", "one too many");
    assert_eq!(front.exchange(line(2) + "a").await, "yes ", "others are not concerned");
    assert_eq!(front.answered(), STREAMS_PER_CIRCUIT + 1);
    for stream in open {
        drop(stream);
    }
    // As soon as they are gone; when that is noticed is up to the scheduler.
    while front.exchange(line(1) + "a").await != "yes " {
        tokio::task::yield_now().await;
    }
    front.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_being_answered_at_the_end_has_a_grace() {
    let mut front = Fixture::start().await;
    let mut stream = front.sent(line(1) + "a").await;
    let stuck = front.sent(line(2)).await;
    front.answered.wait_for(|answered| *answered == 2).await.unwrap();
    front.stop.send_replace(true);
    while front.path.exists() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(stream).await, "yes last words");
    let begin = Instant::now();
    front.front.await.unwrap();
    assert!(begin.elapsed() <= GRACE);
    assert_eq!(rest(stuck).await, "");
}

#[tokio::test]
async fn a_socket_is_replaced_only_if_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    let kind = |result: Result<Socket, Error>| result.map(|_| ()).map_err(|error| error.kind());

    let first = Socket::bind(&config(&path, 0o600), &Limits::default()).await.unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    assert_eq!(
        kind(Socket::bind(&config(&path, 0o660), &Limits::default()).await),
        Err(ErrorKind::Socket)
    );
    assert!(path.exists(), "it is the first one's");
    drop(first);
    assert!(!path.exists());

    // As a proxy leaves it that is killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let second = Socket::bind(&config(&path, 0o660), &Limits::default()).await.unwrap();
    assert_eq!(mode(), 0o660);
    // What somebody else has put there is not removed.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(second);
    assert_eq!(
        kind(Socket::bind(&config(&path, 0o660), &Limits::default()).await),
        Err(ErrorKind::Socket)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    let nowhere = folder.path().join("nowhere/ingest.sock");
    assert_eq!(
        kind(Socket::bind(&config(&nowhere, 0o660), &Limits::default()).await),
        Err(ErrorKind::Socket)
    );
    let long = folder.path().join("x".repeat(200));
    assert_eq!(
        kind(Socket::bind(&config(&long, 0o660), &Limits::default()).await),
        Err(ErrorKind::Socket)
    );
}
