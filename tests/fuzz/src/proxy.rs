//! What comes to the ingest proxy: from Tor, and from who runs it.

use std::{
    path::PathBuf,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
};
use undertone_ingest_proxy::{
    Schemas,
    fuzzing::{self, Ingest},
    identity::{self, Seeds},
};
use undertone_wire::{
    Point,
    endpoint::DeploymentId,
    parcel::{self, Age, PAYLOAD_CAPACITY, Parcel, ParcelId},
    request::BODY_LENGTH,
    schema::{SESSION_TAG, Schema},
    session::SessionKey,
};

use super::Source;

const SCHEMA: &str = "namespace = \"app\"\n[[measurement]]\nname = \"hits\"\nkind = \"counter\"\n\
    description = \"Hits.\"\n[[measurement]]\nname = \"load\"\nkind = \"gauge\"\ndescription = \"Load.\"\n\
    buckets = [0, 1, 10]\n[measurement.tags]\nhost = [\"a\", \"b c\"]\n";
const HEAD: &str = "POST /v1/batch HTTP/1.1\r\nhost: example.onion\r\ncontent-length: 3785\r\n\r\n";
/// All that anybody is ever told.
const ANSWERS: &[&str] = &[
    "",
    "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.0 204 No Content\r\nconnection: close\r\n\r\n",
    "HTTP/1.0 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
];

struct Proxy {
    runtime: Runtime,
    ingest: Ingest,
    _folder: TempDir,
}

/// One for all, in memory: a disk would be all that is measured.
fn with_proxy<T>(work: impl AsyncFnOnce(&Ingest) -> T) -> T {
    static PROXY: LazyLock<Mutex<Proxy>> = LazyLock::new(|| Mutex::new(proxy()));
    let proxy = PROXY.lock().unwrap_or_else(PoisonError::into_inner);
    proxy.runtime.block_on(work(&proxy.ingest))
}

fn proxy() -> Proxy {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    let folder = folder.unwrap_or_else(|error| panic!("{error}"));
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let mut schemas = Schemas::default();
    schemas.insert(Schema::from_toml(SCHEMA).unwrap_or_else(|error| panic!("{error}")));
    let ingest = runtime.block_on(Ingest::open(folder.path(), schemas, deployment()));
    let ingest = ingest.unwrap_or_else(|error| panic!("{error}"));
    Proxy { runtime, ingest, _folder: folder }
}

fn deployment() -> DeploymentId {
    DeploymentId::from([9; 32])
}

/// Whatever is asked, the answer is one of few, and nothing that nobody sealed is stored.
pub(crate) fn http(bytes: &[u8]) {
    let mut source = Source(bytes);
    let mode = source.byte();
    let mut request = source.0.to_vec();
    // A parcel behind whatever head the fuzzer has found.
    if mode % 2 == 1 {
        request.extend_from_slice(&body(&[]));
    }
    let pieces = if mode % 4 < 2 { request.len().max(1) } else { usize::from(mode / 4) + 1 };
    with_proxy(async |ingest| {
        let answer = exchange(ingest, &request, pieces).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(ANSWERS.contains(&&*answer), "answered {answer:?}");
        assert!(answer.contains(" 204 ") <= (mode % 2 == 1), "a parcel that nobody sealed");
    });
}

/// What is stored of a sealed text is declared, and under the session of its key.
pub(crate) fn admission(text: &[u8]) {
    let Ok(frame) = zstd::bulk::compress(text, 1) else { return };
    if frame.len() >= PAYLOAD_CAPACITY {
        return;
    }
    let request = [HEAD.as_bytes(), &body(&[&[1], &frame[..]].concat())].concat();
    with_proxy(async |ingest| {
        let answer = exchange(ingest, &request, request.len()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(ANSWERS[1..3].contains(&&*answer), "answered {answer:?}");
        let stored = ingest.take().await.unwrap_or_else(|error| panic!("{error}"));
        stored.iter().for_each(assert_declared);
    });
}

fn assert_declared(point: &Point) {
    let declared = ["app.hits.count", "app.load.gauge"].contains(&point.measurement.as_str());
    assert!(declared, "{point:?}");
    let own = session().id().to_string();
    assert_eq!(point.tags.get(&SESSION_TAG.into()).map(|tag| tag.as_str()), Some(&own[..]));
    for (key, value) in &point.tags {
        let known = key == SESSION_TAG || (key == "host" && (value == "a" || value == "b c"));
        assert!(known, "{point:?}");
    }
    assert!(point.timestamp.is_some(), "{point:?}");
}

fn session() -> SessionKey {
    SessionKey::from_seed(&[1; 32])
}

/// A parcel with these bytes as its payload, each with an ID of its own.
fn body(payload: &[u8]) -> [u8; BODY_LENGTH] {
    static SEALED: AtomicU64 = AtomicU64::new(0);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&SEALED.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let mut unsigned = vec![0; BODY_LENGTH];
    let start = BODY_LENGTH - PAYLOAD_CAPACITY;
    unsigned[0] = parcel::VERSION;
    unsigned[50..52].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    unsigned[start..start + payload.len()].copy_from_slice(payload);
    match parcel::read_unverified(&unsigned) {
        Ok(read) => {
            Parcel::seal(&session(), ParcelId(id), &deployment(), &read.payload).body(Age(0))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Sends it in pieces of this length, then its end, and reads to the end.
async fn exchange(ingest: &Ingest, request: &[u8], pieces: usize) -> Vec<u8> {
    let (mut client, server) = duplex(16 * 1024);
    let talk = async {
        for piece in request.chunks(pieces) {
            // It may have said all it has to say.
            if client.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    tokio::join!(talk, ingest.serve(server)).0
}

/// A line is read whole or not at all, and names a circuit only in tor's own words.
pub(crate) fn circuit_line(bytes: &[u8]) {
    static RUNTIME: LazyLock<Option<Runtime>> =
        LazyLock::new(|| Builder::new_current_thread().build().ok());
    let Some(runtime) = &*RUNTIME else { return };
    let mut rest = bytes;
    let Some(number) = runtime.block_on(fuzzing::circuit_line(&mut rest)) else { return };
    let line = String::from_utf8_lossy(&bytes[..bytes.len() - rest.len()]);
    assert!(line.starts_with("PROXY TCP6 ") && line.ends_with("\r\n"), "{line:?}");
    let tors = format!(
        "PROXY TCP6 fc00:dead:beef:4dad::{:x}:{:x} ::1 1 80\r\n",
        number.get() >> 16,
        number.get() & 0xffff
    );
    let again = runtime.block_on(fuzzing::circuit_line(&mut tors.as_bytes()));
    assert_eq!(again, Some(number), "{line:?}");
}

/// A configuration is read, or its mistake told; never more than an address on loopback is opened.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match fuzzing::configuration(text) {
        Ok(config) => {
            assert!(config.health.is_none_or(|address| address.ip().is_loopback()));
            assert!(!config.sinks.is_empty());
            let _ = format!("{config:?}");
        }
        Err(error) => assert!(!error.is_empty()),
    }
}

/// What is read as a key is read again from C tor's file as the same, and never shown.
pub(crate) fn key_file(bytes: &[u8]) {
    for seeds in [Seeds::Refused, Seeds::Expanded] {
        match identity::read(bytes, seeds) {
            Ok(key) => {
                let file = key.to_c_tor();
                let again = identity::read(&file, Seeds::Refused);
                let again = again.unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(again.address(), key.address());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
