//! What is written down, what of it is deleted, and what happens where it can't be.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use undertone_wire::{
    Point,
    batch::Payload,
    endpoint::{DeploymentId, Endpoint, Ingest},
    parcel::{Age, Parcel, ParcelId},
    request::REQUEST_LENGTH,
    session::SessionKey,
};

use super::{
    disk::Disk,
    record::{self, HEAD},
    *,
};
use crate::{
    clock::Clock,
    folder::Folder,
    pusher::{FailureKind, Outcome as Pushed, push},
    route::Circuit,
    transport::{Connect, ConnectError, Isolation, Pending, Stream},
};

const HOUR: Duration = Duration::from_secs(3_600);

fn on_disk(data_dir: &Path, clock: Clock) -> Arc<Book> {
    Book::new(Ledger::Disk, Some(Arc::new(Folder::new(data_dir.to_owned()))), clock)
}

fn requests(sent: Sent) -> Vec<Vec<u8>> {
    sent.map(|parcel| parcel.request()).collect()
}

async fn write(book: &Arc<Book>, bytes: &[u8]) {
    let attempt = Arc::clone(book).attempt(bytes.into()).await.unwrap();
    book.outcome(attempt, Outcome::Taken).await;
}

/// All files of a data folder's ledgers.
fn files(data_dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for numbered in fs::read_dir(data_dir).unwrap() {
        let ledger = numbered.unwrap().path().join("ledger");
        files.extend(fs::read_dir(ledger).unwrap().map(|entry| entry.unwrap().path()));
    }
    files
}

#[tokio::test]
async fn p9_what_is_written_down_is_read_byte_for_byte() {
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let disk = on_disk(&data_dir, Clock::system());
    assert_eq!(disk.read().unwrap().len(), 0);
    assert!(!data_dir.exists(), "nothing is made before something is sent");
    let memory = Book::new(Ledger::Disk, None, Clock::system());
    let all: Vec<Vec<u8>> = vec![vec![1, 0, 2, 0, 0], vec![0; 3_904], vec![255; 3_904], vec![7]];
    for book in [&disk, &memory] {
        for bytes in &all {
            write(book, bytes).await;
        }
        assert_eq!(requests(book.read().unwrap()), all);
        assert!(book.read().unwrap().all(|parcel| parcel.outcome() == Outcome::Taken));
    }
    assert_eq!(requests(read(&data_dir).unwrap()), all, "another process sees the same");

    // A second process, and a later one.
    write(&on_disk(&data_dir, Clock::system()), b"second").await;
    drop(disk);
    write(&on_disk(&data_dir, Clock::system()), b"later").await;
    let mut expected = [&all[..], &[b"later".to_vec(), b"second".to_vec()]].concat();
    let mut found = requests(read(&data_dir).unwrap());
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    for file in files(&data_dir) {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }
}

#[tokio::test]
async fn p9_a_request_stays_for_a_day_and_no_longer() {
    let place = tempfile::tempdir().unwrap();
    let (clock, hands) = Clock::simulated(1);
    // Time passes only while somebody sleeps.
    let sleeper = clock.sleep_until(1_000 * HOUR);
    let books =
        [on_disk(place.path(), clock.clone()), Book::new(Ledger::Memory, None, clock.clone())];
    for hour in 0..30_u8 {
        for book in &books {
            book.ready().await.unwrap();
            write(book, &[hour + 1]).await;
            let first = book.read().unwrap().next().unwrap().request()[0];
            let oldest = hour + 1 - first;
            assert!(oldest < 24, "what is {oldest} hours old is still there");
            assert!(first == 1 || oldest >= 22, "what is {oldest} hours old is gone");
        }
        hands.advance(HOUR);
    }
    hands.advance(24 * HOUR);
    for book in &books {
        assert_eq!(book.read().unwrap().len(), 0);
    }
    assert!(files(place.path()).is_empty(), "what is deleted is gone from the disk");
    drop(sleeper);
}

#[tokio::test]
async fn p9_what_earlier_processes_left_is_deleted_in_time_and_kept_in_size() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let left = |number: u32, second: u64, bytes: u64| {
        let folder = place.path().join(format!("tor-{number}/ledger"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{second:012}-0000.ledger"));
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.set_len(bytes).unwrap();
        path
    };
    let stays = [left(0, now - 60, 100), left(3, now - 23 * 3_600, 100)];
    let goes = [left(0, now - 24 * 3_600, 100), left(3, 5, 100), left(3, now + 25 * 3_600, 100)];
    let foreign = place.path().join("tor-3/ledger/not-ours.txt");
    fs::write(&foreign, "").unwrap();
    // 80 MB in another folder: 64 MiB of it stay.
    let large: Vec<PathBuf> =
        (0..20).map(|minute| left(5, now - 3_600 + 60 * minute, 4_000_000)).collect();
    let book = on_disk(place.path(), Clock::system());
    book.ready().await.unwrap();
    assert!(
        goes.iter().all(|path| path.exists()),
        "the clock may be wrong until a push is answered"
    );
    let kept: Vec<bool> = large.iter().map(|path| path.exists()).collect();
    assert_eq!(kept, [[false; 4].to_vec(), [true; 16].to_vec()].concat(), "the oldest go first");
    write(&book, b"answered").await;
    book.ready().await.unwrap();
    assert!(stays.iter().all(|path| path.exists()), "{stays:?}");
    assert!(!goes.iter().any(|path| path.exists()), "too old, and still there: {goes:?}");
    assert!(foreign.exists());
}

/// What a wall clock says that a test sets.
static WALL: AtomicU64 = AtomicU64::new(0);

#[test]
fn p9_a_clock_that_is_set_hides_and_deletes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let other = place.path().join("tor-3/ledger");
    fs::create_dir_all(&other).unwrap();
    let other = other.join(format!("{:012}-0000.ledger", now - 60));
    fs::write(&other, HEAD).unwrap();
    let wall = || UNIX_EPOCH + Duration::from_secs(WALL.load(Ordering::Relaxed));
    for wrong in [5, now - 26 * 3_600, now + 26 * 3_600] {
        // The file is made before anybody is connected to; then the clock is set.
        WALL.store(wrong, Ordering::Relaxed);
        let folder = Arc::new(Folder::new(place.path().to_owned()));
        let disk = Disk::new(folder, wall);
        let sent = |byte| record::parcel(&[byte; 40]).unwrap();
        disk.ready(Duration::ZERO).unwrap();
        assert!(other.exists(), "deleted by a clock that is wrong");
        disk.attempt(sent(1), Duration::ZERO).unwrap();
        WALL.store(now, Ordering::Relaxed);
        let attempt = disk.attempt(sent(2), Duration::from_secs(1)).unwrap();
        let by_others = requests(read(place.path()).unwrap());
        assert!(by_others.contains(&vec![2; 40]), "others don't see what was sent a moment ago");
        let by_itself = requests(disk.read(Duration::from_secs(2)).unwrap());
        assert!(by_itself.contains(&vec![1; 40]), "it doesn't see what it sent itself");
        disk.outcome(&attempt, Outcome::Taken).unwrap();
        disk.sweep(Duration::from_secs(3));
        assert!(other.exists());
        // What comes next must not be found by what this one has left.
        drop(disk);
        for file in files(place.path()).into_iter().filter(|file| *file != other) {
            fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test]
async fn p9_memory_is_bounded_in_bytes() {
    let book = Book::new(Ledger::Memory, None, Clock::system());
    for number in 0..2_000_u32 {
        write(&book, &[&number.to_be_bytes()[..], &[1; 3_900]].concat()).await;
    }
    let all = requests(book.read().unwrap());
    assert_eq!(all.len(), 4 * 1024 * 1024 / 4_000);
    assert_eq!(all.last().unwrap()[..4], 1_999_u32.to_be_bytes());
}

#[test]
fn a_file_that_ends_anywhere_or_is_damaged_gives_what_is_whole() {
    let parcel = |byte: u8| record::parcel(&[byte; 40]).unwrap();
    let attempt =
        |number, byte| record::write(&record::Record::Attempt { number, parcel: parcel(byte) });
    let outcome = record::write(&record::Record::Outcome { number: 0, outcome: Outcome::Refused });
    let parts = [HEAD.to_vec(), attempt(0, 1), outcome, attempt(1, 2)];
    let file = parts.concat();
    let ends: Vec<usize> = (1..=4).map(|count| parts[..count].concat().len()).collect();
    for length in 0..=file.len() {
        let contents = record::read(&file[..length]);
        assert!(!contents.damaged, "{length}");
        let whole = usize::from(length >= ends[1]) + usize::from(length >= ends[3]);
        assert_eq!(contents.parcels.len(), whole, "{length}");
        let refused = contents.parcels.first().is_some_and(|p| p.outcome == Outcome::Refused);
        assert_eq!(refused, length >= ends[2]);
    }
    // As a file system may leave it after a power cut.
    let zeros = record::read(&[&file[..], &[0; 4_096]].concat());
    assert!(zeros.parcels.len() == 2 && !zeros.damaged);
    for index in 0..file.len() {
        let mut altered = file.clone();
        altered[index] ^= 0x55;
        let contents = record::read(&altered);
        // A length that is too long looks like an end.
        let length = ends.iter().any(|end| (*end..end + 4).contains(&index));
        assert!(contents.damaged || length, "byte {index}");
        assert!(
            contents
                .parcels
                .iter()
                .all(|p| [[1; 40], [2; 40]].contains(&p.bytes[..].try_into().unwrap()))
        );
    }
}

#[test]
fn a_time_that_no_calendar_shows_is_damage() {
    let at = |milliseconds: u64| {
        let at = UNIX_EPOCH + Duration::from_millis(milliseconds);
        let parcel = SentParcel { at, ..record::parcel(&[1; 40]).unwrap() };
        [HEAD, &record::write(&record::Record::Attempt { number: 0, parcel })].concat()
    };
    let latest = 253_402_300_799_999;
    let file = at(latest);
    assert_eq!(record::read(&file).parcels.len(), 1);
    // A clock that is beyond it is written down as this.
    assert_eq!(at(latest + 1), file);
    let place = file.windows(8).position(|bytes| bytes == latest.to_be_bytes()).unwrap();
    let (head, said) = (&file[..HEAD.len() + 4], &mut file[HEAD.len() + 12..].to_vec());
    said[place - HEAD.len() - 12..][..8].copy_from_slice(&(latest + 1).to_be_bytes());
    let later = [head, &Sha256::digest(&*said)[..8], said].concat();
    let contents = record::read(&later);
    assert!(contents.damaged && contents.parcels.is_empty());
}

#[tokio::test]
async fn damaged_files_are_named_and_the_rest_is_read() {
    let place = tempfile::tempdir().unwrap();
    let book = on_disk(place.path(), Clock::system());
    write(&book, b"whole").await;
    let damaged = files(place.path())[0].with_file_name("999999999-0000.ledger");
    fs::write(&damaged, "no ledger").unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let damaged_now = damaged.with_file_name(format!("{now:012}-7777.ledger"));
    fs::rename(&damaged, &damaged_now).unwrap();
    let sent = book.read().unwrap();
    assert_eq!(sent.damaged(), [fs::canonicalize(damaged_now).unwrap()]);
    assert_eq!(requests(sent), [b"whole"]);
}

/// Leads to a test, which gets the other end of each stream.
struct ToTest {
    ends: Mutex<Vec<DuplexStream>>,
    /// Done when a stream is opened.
    meanwhile: Box<dyn Fn() + Send + Sync>,
}

impl ToTest {
    fn new(meanwhile: impl Fn() + Send + Sync + 'static) -> Self {
        Self { ends: Mutex::default(), meanwhile: Box::new(meanwhile) }
    }

    fn ends(&self) -> Vec<DuplexStream> {
        std::mem::take(&mut self.ends.lock().unwrap())
    }
}

impl Connect for ToTest {
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
        _: Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
        // Smaller than a request: it can't be handed over in one write.
        let (near, far) = tokio::io::duplex(1_000);
        self.ends.lock().unwrap().push(far);
        (self.meanwhile)();
        Box::pin(async { Ok(Box::new(near) as Box<dyn Stream>) })
    }

    fn end(&self, _: Isolation) {}

    fn warm_up(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

async fn push_one(transport: &ToTest, ledger: &Arc<Book>, points: &[Point]) -> Pushed {
    let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    let ingest: Ingest = onion.parse().unwrap();
    let key = SessionKey::from_seed(&[1; 32]);
    let payload = Payload::encode(points).unwrap();
    let parcel = Parcel::seal(&key, ParcelId([1; 16]), &DeploymentId::from([2; 32]), &payload);
    let circuit = Circuit::new(ingest.endpoints[0].clone(), Isolation([0; 16]));
    push(transport, &circuit, &parcel, ledger, std::future::ready(true), || Some(Age(3))).await
}

#[tokio::test]
async fn p9_a_request_is_in_the_ledger_before_its_first_byte_is_out() {
    let place = tempfile::tempdir().unwrap();
    let book = on_disk(place.path(), Clock::system());
    let transport = Arc::new(ToTest::new(|| {}));
    let points = [Point::new("a.b.count").field("count", 7_i64).at(1)];
    let pushing = tokio::spawn({
        let (transport, book, points) = (Arc::clone(&transport), Arc::clone(&book), points.clone());
        async move { push_one(&transport, &book, &points).await }
    });
    let mut far = loop {
        if let Some(far) = transport.ends().pop() {
            break far;
        }
        tokio::task::yield_now().await;
    };
    let mut received = vec![0; 1];
    far.read_exact(&mut received).await.unwrap();
    // What the disk has now, as another process sees it.
    let before: Vec<SentParcel> = read(place.path()).unwrap().collect();
    assert_eq!(before.len(), 1, "a byte is out that the ledger doesn't hold");
    assert_eq!(before[0].outcome(), Outcome::Attempted);

    received.resize(REQUEST_LENGTH, 0);
    far.read_exact(&mut received[1..]).await.unwrap();
    far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(pushing.await.unwrap(), Pushed::Taken);
    let after: Vec<SentParcel> = book.read().unwrap().collect();
    assert_eq!((after.len(), after[0].outcome()), (1, Outcome::Taken));
    assert_eq!(after[0].request(), received);
    assert_eq!(after[0].points().unwrap(), points);
    assert_eq!(after[0].session(), Some(SessionKey::from_seed(&[1; 32]).id()));
    assert!(!after[0].is_chaff());
}

#[tokio::test(start_paused = true)]
async fn p9_nothing_is_sent_that_the_ledger_does_not_hold() {
    let place = tempfile::tempdir().unwrap();
    // The data folder can't be made.
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let transport = ToTest::new(|| {});
    let book = on_disk(&file.join("data"), Clock::system());
    let outcome = push_one(&transport, &book, &[]).await;
    assert_eq!(outcome, Pushed::Failed(FailureKind::DataFolder));
    assert!(transport.ends().is_empty(), "nobody is connected to");

    // It is gone when the request is to be written down, and comes back.
    let data_dir = place.path().join("data");
    let (folder, away) = (data_dir.join("tor-0"), place.path().join("away"));
    let book = on_disk(&data_dir, Clock::system());
    let transport = ToTest::new({
        let (folder, away) = (folder.clone(), away.clone());
        move || {
            for file in fs::read_dir(folder.join("ledger")).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
            fs::rename(&folder, &away).unwrap();
        }
    });
    let outcome = push_one(&transport, &book, &[]).await;
    assert_eq!(outcome, Pushed::Failed(FailureKind::DataFolder));
    let mut received = Vec::new();
    transport.ends().pop().unwrap().read_to_end(&mut received).await.unwrap();
    assert!(received.is_empty(), "{} bytes are out that the ledger doesn't hold", received.len());

    fs::rename(&away, &folder).unwrap();
    write(&book, b"again").await;
    assert_eq!(requests(book.read().unwrap()), [b"again"]);
}
