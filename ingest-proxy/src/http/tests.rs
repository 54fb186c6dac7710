//! Who asks too often, and who sends too slowly.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::Instant,
};
use undertone_wire::{
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Age, Parcel, ParcelId},
    session::SessionKey,
};

use super::*;
use crate::{
    queue::{Queue, QueueLimits},
    schemas::Schemas,
};

struct Fixture {
    http: Http,
    circuit: Arc<Circuit>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), QueueLimits::default()).unwrap();
        let (deployment, limits) = (DeploymentId::from([9; 32]), Arc::new(limits));
        let schemas = Schemas::default().into();
        let admission = Admission::open(deployment, schemas, queue, Arc::clone(&limits));
        let admission = admission.await.unwrap();
        let http = Http::new(Arc::new(admission), limits, None);
        Self { http, circuit: Arc::default(), _folder: folder }
    }

    /// A stream of the circuit, and what answers it.
    fn stream(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(8_192);
        let answered = self.http.clone().answer(server, Arc::clone(&self.circuit));
        (client, tokio::spawn(answered))
    }

    /// The status that `bytes` are answered with; empty: none.
    async fn status(&self, bytes: &[u8]) -> String {
        let (mut client, _) = self.stream();
        client.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    fn excess(&self, reason: &str) -> u64 {
        let mut counts = self.http.admission.counts().excess();
        counts.find(|(name, _)| *name == reason).unwrap().1
    }
}

fn head() -> String {
    format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY_LENGTH}\r\n\r\n")
}

fn request(id: u8) -> Vec<u8> {
    let (session, payload) = (SessionKey::from_seed(&[1; 32]), Payload::encode(&[]).unwrap());
    let deployment = DeploymentId::from([9; 32]);
    let parcel = Parcel::seal(&session, ParcelId([id; 16]), &deployment, &payload);
    [head().as_bytes(), &parcel.body(Age(0))].concat()
}

#[tokio::test]
async fn s2_who_asks_too_often_is_told_to_come_back_before_anything_is_read() {
    let limits = Limits {
        requests_per_circuit_per_minute: 1,
        requests_per_circuit_burst: 2,
        ..Limits::default()
    };
    let mut fixture = Fixture::new(limits).await;
    assert_eq!(fixture.status(&request(1)).await, "204");
    assert_eq!(fixture.status(b"GET / HTTP/1.1\r\n\r\n").await, "400", "this counts, too");
    // Not one byte of the body has come.
    assert_eq!(fixture.status(head().as_bytes()).await, "503");
    assert_eq!(fixture.status(b"GET / HTTP/1.1\r\n\r\n").await, "503", "and nothing is told");
    assert_eq!(fixture.excess("circuit"), 2);
    fixture.circuit = Arc::default();
    assert_eq!(fixture.status(&request(2)).await, "204", "others are not concerned");
}

#[tokio::test(start_paused = true)]
async fn s2_who_sends_slowly_is_cut_off() {
    let fixture = Fixture::new(Limits::default()).await;
    let (head, request) = (head(), request(1));
    for (what, at_once, limit) in [
        ("nothing at all", 0, 20),
        ("a slow head", 20, 20),
        ("no body", head.len(), 30),
        ("a slow body", head.len() + 100, 30),
    ] {
        let (mut client, answered) = fixture.stream();
        let (begin, slow) = (Instant::now(), fixture.excess("slow"));
        client.write_all(&request[..at_once]).await.unwrap();
        let drip = async {
            for byte in &request[at_once..] {
                tokio::time::sleep(std::time::Duration::from_secs(3)).await;
                // From when it is cut off, nobody listens.
                if !what.contains("slow") || client.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            let mut answer = String::new();
            let _ = client.read_to_string(&mut answer).await;
            answer
        };
        let (answer, served) = tokio::join!(drip, async {
            answered.await.unwrap();
            begin.elapsed().as_secs()
        });
        assert_eq!((answer.as_str(), served), ("", limit), "{what}");
        assert_eq!(fixture.excess("slow"), slow + 1, "{what}");
    }
}
