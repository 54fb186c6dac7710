//! Who gets a place, in made-up hours.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// As an agent reports, on average.
const SLOT: Duration = Duration::from_secs(180);
const PLENTY: u64 = u64::MAX;

fn id(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from(bytes)
}

fn series(number: u64) -> SeriesHash {
    let tag = number.to_string();
    SeriesHash::of(&undertone_wire::Point::new("m").tag("number", tag.as_str()))
}

fn sessions(limits: Limits) -> Sessions {
    Sessions::new(Arc::new(limits), Vec::new())
}

/// A rate of one place every 18 s, of 75 at once.
fn default() -> Sessions {
    sessions(Limits::default())
}

fn within_an_hour(from: Duration, at: Duration) -> bool {
    from <= at && at < from + HOUR
}

/// Uses up what places there are.
fn exhaust(sessions: &mut Sessions, now: Duration) {
    let mut others = (1 << 40)..;
    while others.next().is_some_and(|other| sessions.has_place(id(other), &Arc::default(), now)) {}
}

#[test]
fn s2_in_no_hour_more_new_sessions_get_a_place_than_the_limit_and_a_known_one_always_has_its() {
    let mut sessions = sessions(Limits { new_sessions_per_hour: 20, ..Limits::default() });
    let (honest, circuit) = (id(0), Arc::default());
    assert!(sessions.has_place(honest, &circuit, BEGINNING));
    let mut admitted = vec![BEGINNING];
    // Two and a half hours of two new sessions a second, each on a circuit of its own.
    for number in 1..18_000 {
        let now = BEGINNING + SECOND / 2 * number;
        if sessions.has_place(id(number.into()), &Arc::default(), now) {
            admitted.push(now);
        }
        assert!(sessions.has_place(honest, &Arc::default(), now), "on whatever circuit");
    }
    let most = admitted
        .iter()
        .map(|from| admitted.iter().filter(|at| within_an_hour(*from, **at)).count());
    assert!(most.max().is_some_and(|most| (19..=20).contains(&most)));
    assert!(admitted.len() >= 40, "and so many do: {}", admitted.len());
    let at_once = admitted.iter().filter(|at| **at < BEGINNING + 2 * MINUTE).count();
    assert_eq!(at_once, 5, "the first burst takes a quarter");
}

#[test]
fn s2_who_comes_again_goes_before_any_number_of_those_who_come_once() {
    let mut sessions = default();
    exhaust(&mut sessions, BEGINNING);
    let (honest, circuit) = (id(0), Arc::default());
    let mut number = 0;
    let mut parcels = 0;
    let mut slot = BEGINNING;
    loop {
        parcels += 1;
        if sessions.has_place(honest, &circuit, slot) {
            break;
        }
        for step in 1..=SLOT.as_secs() * 10 {
            number += 1;
            let now = slot + SECOND / 10 * u32::try_from(step).unwrap();
            sessions.has_place(id(number), &Arc::default(), now);
        }
        slot += SLOT;
    }
    assert_eq!(parcels, 3, "not with the first, in the line with the second, known at the third");
}

#[test]
fn s2_nobody_waits_for_more_than_those_who_were_there_before() {
    let mut sessions = default();
    exhaust(&mut sessions, BEGINNING);
    // As many circuits as are held against it, each of which brings a new session as soon as its
    // last one has a place: on a new circuit, since a circuit has one session.
    let hostile = 100;
    let mut circuits: Vec<(u64, Arc<Circuit>)> =
        (1..=hostile).map(|number| (number, Arc::default())).collect();
    let mut next = hostile;
    let (honest, circuit) = (id(0), Arc::default());
    let mut now = BEGINNING;
    let admitted = loop {
        for (number, circuit) in &mut circuits {
            if sessions.has_place(id(*number), circuit, now) {
                next += 1;
                (*number, *circuit) = (next, Arc::default());
            }
        }
        let slots = (now - BEGINNING).as_secs() / 10;
        if slots.is_multiple_of(18) && sessions.has_place(honest, &circuit, now) {
            break now - BEGINNING;
        }
        now += 10 * SECOND;
        assert!(now < BEGINNING + 3 * HOUR, "it waits for ever");
    };
    let each = Duration::from_secs(3_600 / 225);
    let expected = each * u32::try_from(hostile + 1).unwrap();
    assert!(admitted <= expected + MINUTE + SLOT, "{admitted:?} instead of {expected:?}");
}

#[test]
fn s2_a_circuit_that_is_gone_or_silent_waits_no_longer() {
    let mut sessions = default();
    exhaust(&mut sessions, BEGINNING);
    let (gone, silent) = (Arc::default(), Arc::default());
    for now in [BEGINNING, BEGINNING + MINUTE] {
        sessions.has_place(id(1), &gone, now);
        sessions.has_place(id(2), &silent, now);
        exhaust(&mut sessions, now);
    }
    drop(gone);
    let later = BEGINNING + MINUTE + Duration::from_secs(900);
    let places = sessions.counts(later).places;
    assert!(sessions.has_place(id(3), &Arc::default(), later));
    assert_eq!(sessions.counts(later).places, places - 1, "neither has taken one");
    assert_eq!(sessions.counts(later).waiting, 0);
}

#[test]
fn s2_there_are_as_many_sessions_as_the_limit_until_they_are_forgotten() {
    let mut sessions = sessions(Limits { sessions: 3, session_hours: 1, ..Limits::default() });
    let circuits: [Arc<Circuit>; 4] = Default::default();
    let mut places = |now| -> Vec<bool> {
        (0..4).map(|number| sessions.has_place(id(number as u64), &circuits[number], now)).collect()
    };
    assert_eq!(places(BEGINNING), [true, true, true, false]);
    assert_eq!(places(BEGINNING + HOUR - SECOND), [true, true, true, false]);
    let hits = [series(1), series(2)];
    sessions.weigh(id(0), &hits, PLENTY, BEGINNING + HOUR).unwrap();
    assert_eq!(sessions.counts(BEGINNING).series, 2);
    assert!(sessions.has_place(id(9), &Arc::default(), BEGINNING + 2 * HOUR));
    let counts = sessions.counts(BEGINNING + 2 * HOUR);
    assert_eq!((counts.known, counts.series), (1, 0), "their series are forgotten with them");
}

#[test]
fn s2_series_are_capped_a_session_an_hour_and_in_all_and_known_ones_are_free() {
    let limits = Limits {
        new_sessions_per_hour: 100,
        new_series_per_hour: 4_000,
        series_per_session: 1_005,
        series: 1_500,
        ..Limits::default()
    };
    let mut sessions = sessions(limits);
    // Each has 10 of its own, and there are 1,000 for whoever comes first.
    let many: Vec<SeriesHash> = (0..1_020).map(series).collect();
    for number in 1..=51 {
        assert!(sessions.has_place(id(number), &Arc::default(), BEGINNING) || number > 25);
    }
    let mut taken = |number, hits: &[SeriesHash], now| {
        let verdicts = sessions.weigh(id(number), hits, PLENTY, now).unwrap();
        let refused: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.err()).collect();
        (verdicts.len() - refused.len(), refused.first().copied())
    };
    assert_eq!(taken(1, &many, BEGINNING), (1_005, Some("session_series")));
    assert_eq!(taken(2, &many[..20], BEGINNING), (15, Some("new_series")), "the last five");
    assert_eq!(taken(3, &many[..20], BEGINNING), (10, Some("new_series")), "its own");
    assert_eq!(taken(1, &many[..1_005], BEGINNING), (1_005, None), "known ones");
    assert_eq!(taken(4, &many[..20], BEGINNING + HOUR), (20, None), "of the next hour");
    assert_eq!(taken(5, &many[..1_000], BEGINNING + HOUR), (450, Some("new_series")), "in all");
}

#[test]
fn s2_points_of_a_session_are_told_to_come_back_and_others_are_not_concerned() {
    let mut sessions = sessions(Limits { points_per_session_per_hour: 1_024, ..Limits::default() });
    for number in [1, 2] {
        assert!(sessions.has_place(id(number), &Arc::default(), BEGINNING));
    }
    let (all, one) = (vec![series(1); 1_024], [series(1)]);
    assert!(sessions.weigh(id(1), &all, PLENTY, BEGINNING).is_ok());
    assert_eq!(sessions.weigh(id(1), &one, PLENTY, BEGINNING), Err(TooMuch::Points));
    assert!(sessions.weigh(id(2), &all, PLENTY, BEGINNING).is_ok());
    assert!(sessions.weigh(id(1), &all, PLENTY, BEGINNING + HOUR).is_ok());
}

#[test]
fn s2_requests_of_a_session_are_limited_over_all_its_circuits() {
    let limits = Limits {
        requests_per_session_per_minute: 1,
        requests_per_session_burst: 2,
        ..Limits::default()
    };
    let mut sessions = sessions(limits);
    assert!(sessions.has_place(id(1), &Arc::default(), BEGINNING));
    let mut asked = |number, now| sessions.may_ask(id(number), now);
    assert_eq!(
        [1, 1, 1, 2, 2, 2].map(|number| asked(number, BEGINNING)),
        [true, true, false, true, true, true]
    );
    assert!(asked(1, BEGINNING + MINUTE));
}

#[test]
fn d2_s2_who_sends_most_is_held_back_before_ids_are_forgotten_early() {
    let mut sessions = default();
    for number in 0..70 {
        assert!(sessions.has_place(id(number), &Arc::default(), BEGINNING));
    }
    // 60 that send all they can, and one that sends little, into room for 1,000 IDs.
    let (mut remembered, limit) = (0, 1_000);
    let mut send = |number, remembered: &mut u64| {
        let taken = sessions.weigh(id(number), &[], limit - *remembered, BEGINNING).is_ok();
        *remembered += u64::from(taken);
        taken
    };
    for _ in 0..100 {
        for number in 1..=60 {
            send(number, &mut remembered);
        }
    }
    assert!(remembered < limit, "{remembered}");
    for parcel in 0..5 {
        assert!(send(0, &mut remembered), "parcel {parcel} of {remembered} in all");
    }
}

#[test]
fn s2_what_was_known_and_used_up_is_so_after_a_restart() {
    let limits = Limits {
        new_sessions_per_hour: 8,
        new_series_per_hour: 64,
        session_hours: 2,
        ..Limits::default()
    };
    let mut sessions = sessions(limits.clone());
    let (circuit, hits) = (Arc::default(), [series(1), series(2), series(3), series(4)]);
    assert!(sessions.has_place(id(1), &circuit, BEGINNING));
    sessions.weigh(id(1), &hits, PLENTY, BEGINNING).unwrap();
    assert!(sessions.has_place(id(2), &Arc::default(), BEGINNING));
    assert!(!sessions.has_place(id(3), &Arc::default(), BEGINNING));
    let records = sessions.unwritten(id(1), BEGINNING);
    assert_eq!(records.len(), 2, "with the other that got a place");
    sessions.written(&[(id(1), 4), (id(2), 0)], BEGINNING);
    assert_eq!(sessions.unwritten(id(1), BEGINNING + MINUTE), []);
    assert_eq!(sessions.unwritten(id(1), BEGINNING + HOUR).len(), 1, "it was heard of again");

    let mut restarted = Sessions::new(Arc::new(limits), records);
    assert!(restarted.has_place(id(1), &Arc::default(), BEGINNING));
    assert!(!restarted.has_place(id(3), &Arc::default(), BEGINNING), "no place is given twice");
    assert_eq!(restarted.counts(BEGINNING), sessions.counts(BEGINNING));
    let verdicts = restarted.weigh(id(1), &hits, PLENTY, BEGINNING + HOUR).unwrap();
    assert_eq!(verdicts, [Ok(()); 4], "they are known");
    assert!(restarted.unwritten(id(1), BEGINNING).is_empty());
}

proptest! {
    #[test]
    fn s2_however_they_come_no_hour_has_more_new_sessions_or_series_than_its_limit(
        steps in prop::collection::vec((0_u64..120, 0_usize..40, 0_u64..30), 1..400),
        new_sessions_per_hour in 4_u64..40,
        new_series_per_hour in 100_u64..1_000,
    ) {
        let limits = Limits { new_sessions_per_hour, new_series_per_hour, ..Limits::default() };
        let mut sessions = sessions(limits);
        let circuits: Vec<Arc<Circuit>> = (0..40).map(|_| Arc::default()).collect();
        let mut now = BEGINNING;
        let (mut known, mut growth) = (0, Vec::new());
        for (number, (seconds, circuit, hits)) in steps.into_iter().enumerate() {
            now += Duration::from_secs(seconds);
            let session = id(circuit as u64);
            sessions.has_place(session, &circuits[circuit], now);
            let before = sessions.series;
            let hits: Vec<_> = (0..hits).map(|hit| series(number as u64 * 100 + hit)).collect();
            sessions.weigh(session, &hits, PLENTY, now).unwrap();
            growth.push((now, sessions.known.len() as u64 - known, sessions.series - before));
            known = sessions.known.len() as u64;
        }
        for (from, ..) in &growth {
            let hour = growth.iter().filter(|(at, ..)| within_an_hour(*from, *at));
            let (new, more) = hour.fold((0, 0), |sum, at| (sum.0 + at.1, sum.1 + at.2));
            prop_assert!(new <= new_sessions_per_hour, "{new} sessions");
            prop_assert!(more <= new_series_per_hour, "{more} series");
        }
    }
}
