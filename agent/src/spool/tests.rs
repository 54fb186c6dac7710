//! Bounds in memory, and what a disk gives back.

use undertone_wire::{batch::Payload, endpoint::DeploymentId, session::SessionKey};

use super::*;

fn parcel(number: u16) -> Sealed {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    let payload = Payload::encode(&[]).unwrap();
    let session = SessionKey::from_seed(&[1; 32]);
    let parcel = Parcel::seal(&session, ParcelId(id), &DeploymentId::from([2; 32]), &payload);
    Sealed::new(parcel, Way::Session)
}

#[test]
fn d4_the_oldest_goes_first_and_is_dropped_first() {
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    for number in 0..300 {
        spool.add(parcel(number), Duration::ZERO);
    }
    assert_eq!((spool.len(), spool.drops().too_many), (256, 44));
    let (oldest, ..) = spool.next_or(Duration::ZERO, |_| false, || parcel(999));
    assert_eq!(oldest.parcel.id(), parcel(44).parcel.id());
}

#[test]
fn d4_what_is_too_old_is_dropped_and_counted() {
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    spool.add(parcel(1), Duration::ZERO);
    spool.add(parcel(2), Duration::from_secs(3_600));
    let now = Duration::from_secs(24 * 3_600 + 1);
    let (oldest, wait, _) = spool.next_or(now, |_| false, || parcel(999));
    let expected = (parcel(2).parcel.id(), Some(Age(6 * 23)));
    assert_eq!((oldest.parcel.id(), wait.age(now)), expected);
    // A machine may sleep while a stream is opened.
    assert_eq!(wait.age(now + Duration::from_secs(3_600)), None);
    assert_eq!(spool.drops(), Drops { too_old: 1, ..Drops::default() });
}

#[test]
fn d3_what_waits_for_an_address_that_was_left_holds_up_nothing() {
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    let left: Endpoint =
        "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion".parse().unwrap();
    for number in 1..=100 {
        spool.add(parcel(number), Duration::ZERO);
    }
    // Its address fails for ever; the others arrive.
    let stuck = parcel(1).parcel.id();
    spool.failed(stuck, Some(&left));
    let (mut arrived, mut tried) = (0, 0);
    while spool.len() > 1 {
        let is_left = |sealed: &Sealed| sealed.reached.as_ref() == Some(&left);
        let (next, ..) = spool.next_or(Duration::ZERO, is_left, || parcel(999));
        let id = next.parcel.id();
        if id == stuck {
            tried += 1;
            spool.failed(id, Some(&left));
        } else {
            arrived += 1;
            spool.remove(id, Fate::Taken);
        }
    }
    assert_eq!(arrived, 99);
    assert!((5..=12).contains(&tried), "it is tried again, and not often: {tried} times");
    // With nothing else to do, it has its turn.
    let (next, ..) = spool.next_or(Duration::ZERO, |_| true, || parcel(999));
    assert_eq!(next.parcel.id(), stuck);
}

#[test]
fn d3_p7_what_an_earlier_process_left_comes_first_once_and_by_ways_of_its_own() {
    let endpoint: Endpoint =
        "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion".parse().unwrap();
    let gone: Endpoint =
        "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion".parse().unwrap();
    let mut spool = Spool::new(Duration::from_secs(24 * 3_600));
    spool.add(parcel(3), Duration::ZERO);
    let left = |number, reached| (parcel(number).parcel, Duration::from_secs(700), reached);
    let restored = || Restored {
        parcels: vec![left(1, Some(gone.clone())), left(2, Some(endpoint.clone()))],
        ..Restored::default()
    };
    let sessions = spool.restore(restored(), std::slice::from_ref(&endpoint), Duration::ZERO);
    assert_eq!(sessions, [parcel(1).parcel.session().id()]);
    assert!(spool.restore(restored(), std::slice::from_ref(&endpoint), Duration::ZERO).is_empty());
    assert_eq!(spool.len(), 3, "the same file, read twice");
    let mut order = Vec::new();
    while !spool.nothing_to_send() {
        let (next, wait, _) = spool.next_or(Duration::ZERO, |_| false, || parcel(999));
        let id = next.parcel.id();
        assert_eq!(matches!(next.way, Way::Earlier(_)), id == parcel(2).parcel.id());
        order.push((id.0[1], wait.age(Duration::ZERO).unwrap().0));
        spool.remove(id, Fate::Taken);
    }
    // What may have reached an address that nobody names any more goes nowhere else.
    assert_eq!(order, [(2, 1), (3, 0)]);
    assert_eq!(spool.len(), 1);
}
