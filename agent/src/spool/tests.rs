//! Bounds in memory, and what a disk gives back.

use undertone_wire::{batch::Payload, endpoint::DeploymentId, session::SessionKey};

use super::*;

fn parcel(number: u16) -> Sealed {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    let payload = Payload::encode(&[]).unwrap();
    let session = SessionKey::from_seed(&[1; 32]);
    let parcel = Parcel::seal(&session, ParcelId(id), &DeploymentId::from([2; 32]), &payload);
    Sealed { parcel, way: Way::Session }
}

#[test]
fn d4_the_oldest_goes_first_and_is_dropped_first() {
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    for number in 0..300 {
        spool.add(parcel(number), Duration::ZERO);
    }
    assert_eq!((spool.len(), spool.drops().too_many), (256, 44));
    let (oldest, ..) = spool.oldest_or(Duration::ZERO, || parcel(999));
    assert_eq!(oldest.parcel.id(), parcel(44).parcel.id());
}

#[test]
fn d4_what_is_too_old_is_dropped_and_counted() {
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    spool.add(parcel(1), Duration::ZERO);
    spool.add(parcel(2), Duration::from_secs(3_600));
    let now = Duration::from_secs(24 * 3_600 + 1);
    let (oldest, wait, _) = spool.oldest_or(now, || parcel(999));
    let expected = (parcel(2).parcel.id(), Some(Age(6 * 23)));
    assert_eq!((oldest.parcel.id(), wait.age(now)), expected);
    // A machine may sleep while a stream is opened.
    assert_eq!(wait.age(now + Duration::from_secs(3_600)), None);
    assert_eq!(spool.drops(), Drops { too_old: 1, ..Drops::default() });
}
