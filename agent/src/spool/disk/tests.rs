//! What one process leaves on the disk and the next one finds, and what a disk that refuses changes.

use std::{fs, path::Path};

use undertone_wire::{batch::Payload, session::SessionKey};

use super::*;

const DEPLOYMENT: [u8; 32] = [2; 32];
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const MANY: u64 = 1 << 20;

fn parcel(number: u8) -> Parcel {
    let session = SessionKey::from_seed(&[number; 32]);
    let payload = Payload::encode(&[]).unwrap();
    Parcel::seal(&session, ParcelId([number; 16]), &DeploymentId::from(DEPLOYMENT), &payload)
}

fn open(data_dir: &Path) -> (Disk, UnboundedReceiver<Restored>) {
    open_for(data_dir, DEPLOYMENT)
}

fn open_for(data_dir: &Path, deployment: [u8; 32]) -> (Disk, UnboundedReceiver<Restored>) {
    let folder = Arc::new(Folder::new(data_dir.to_owned()));
    Disk::open(folder, DeploymentId::from(deployment), MANY, None).unwrap()
}

async fn keep(disk: &Disk, number: u8, waited: Duration) {
    disk.keep(&parcel(number), waited).wait().await;
}

fn file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("tor-0").join(FOLDER).join("spool.sqlite3")
}

fn ids(restored: &Restored) -> Vec<u8> {
    restored.parcels.iter().map(|(parcel, ..)| parcel.id().0[0]).collect()
}

#[tokio::test]
async fn d3_what_one_process_leaves_the_next_one_finds_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let (disk, mut restored) = open(place.path());
    assert!(restored.recv().await.unwrap().parcels.is_empty());
    for number in 1..=4 {
        keep(&disk, number, Duration::from_secs(1_000)).await;
    }
    let endpoint: Endpoint = ONION.parse().unwrap();
    assert!(disk.reaching(ParcelId([3; 16]), &endpoint).wait().await);
    disk.forget(ParcelId([1; 16]), Fate::Taken);
    disk.forget(ParcelId([2; 16]), Fate::TooMany);
    disk.close().await;

    let (disk, mut restored) = open(place.path());
    let found = restored.recv().await.unwrap();
    assert_eq!((ids(&found), found.unreadable, found.again), (vec![3, 4], 0, false));
    for (parcel, waited, _) in &found.parcels {
        assert_eq!(
            parcel.body(Default::default()),
            self::parcel(parcel.id().0[0]).body(Default::default())
        );
        assert!((1_000..1_100).contains(&waited.as_secs()), "{waited:?}");
    }
    let reached: Vec<_> = found.parcels.iter().map(|(.., reached)| reached.clone()).collect();
    assert_eq!(reached, [Some(endpoint), None]);
    disk.close().await;

    // Nothing of one deployment goes to another.
    let (disk, mut restored) = open_for(place.path(), [9; 32]);
    let found = restored.recv().await.unwrap();
    assert_eq!((ids(&found), found.unreadable), (vec![], 2));
    disk.close().await;
    let table = Table::open(file(place.path()).parent().unwrap()).unwrap();
    let dropped = table.dropped().unwrap();
    let expected = [("too many".to_owned(), 1), ("unreadable".to_owned(), 2)];
    assert_eq!(dropped.into_iter().collect::<Vec<_>>(), expected, "drops are counted for good");
}

#[tokio::test]
async fn d3_a_corrupt_spool_is_set_aside_and_a_new_one_begun() {
    let place = tempfile::tempdir().unwrap();
    let (disk, _) = open(place.path());
    keep(&disk, 1, Duration::ZERO).await;
    disk.close().await;
    fs::write(file(place.path()), [7; 20_000]).unwrap();
    for number in [2, 3] {
        let (disk, mut restored) = open(place.path());
        let expected: Vec<u8> = (2..number).collect();
        assert_eq!(ids(&restored.recv().await.unwrap()), expected);
        keep(&disk, number, Duration::ZERO).await;
        assert!(!disk.refuses());
        disk.close().await;
    }
    let names = fs::read_dir(file(place.path()).parent().unwrap()).unwrap();
    let aside = names
        .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().contains(".corrupt-"));
    assert_eq!(aside.count(), 1);
}

#[tokio::test]
async fn d3_what_a_disk_refuses_is_in_memory_and_on_the_disk_once_it_takes_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("tor-0").join(FOLDER);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let (disk, mut restored) = open(place.path());
    keep(&disk, 1, Duration::ZERO).await;
    assert!(disk.refuses(), "it says that it can't");
    keep(&disk, 2, Duration::ZERO).await;
    disk.forget(ParcelId([1; 16]), Fate::Taken);
    assert!(restored.try_recv().is_err(), "what is there isn't known yet");
    fs::remove_file(&folder).unwrap();
    let found = restored.recv().await.unwrap();
    assert!(found.parcels.is_empty());
    keep(&disk, 3, Duration::ZERO).await;
    assert!(!disk.refuses(), "it is all right again");
    disk.close().await;
    let (disk, mut restored) = open(place.path());
    assert_eq!(ids(&restored.recv().await.unwrap()), [2, 3]);
    disk.close().await;
}

#[tokio::test]
async fn p1_a_denial_deletes_what_waits_on_the_disk() {
    let place = tempfile::tempdir().unwrap();
    let data_dir = place.path().join("data");
    let (disk, _) = open(&data_dir);
    keep(&disk, 1, Duration::ZERO).await;
    disk.close().await;
    assert!(file(&data_dir).exists());
    let deleted = crate::deletion::delete(&data_dir, Duration::ZERO);
    assert!(deleted.left.is_empty() && !data_dir.exists());
}
