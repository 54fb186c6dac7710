//! Several onion addresses of one deployment: an agent turns away from one that fails, and nothing else changes.

use super::*;

const OTHER: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";

/// The deployment that the tests open parcels of, with two addresses.
fn both() -> String {
    let deployment = ONIONS.parse::<Ingest>().unwrap().deployment;
    format!("{ONIONS},{OTHER}#{deployment}")
}

fn stage(seed: u64) -> Stage {
    Stage::reporting_to(&both(), seed, Scope::default(), Profile::Anonymous)
}

/// Where the first session goes, if all is well.
async fn first_of(seed: u64) -> String {
    let mut stage = stage(seed);
    while stage.watched.arrivals().is_empty() {
        stage.second().await;
    }
    stage.watched.arrivals()[0].onion.clone()
}

/// What comes of the first session, when this address behaves so.
async fn session_with(seed: u64, onion: &str, behaviour: Behaviour) -> (Vec<Arrival>, Stage) {
    let mut stage = stage(seed);
    stage.watched.behave_at(onion, behaviour);
    while stage.seen.len() < 2 {
        stage.second().await;
    }
    let id = stage.seen[0].id;
    let whole = stage.watched.arrivals().into_iter();
    (whole.filter(|arrival| opened(arrival).session.id() == id).collect(), stage)
}

#[tokio::test(start_paused = true)]
async fn d3_p5_an_address_without_a_way_to_it_is_left_and_no_slot_comes_at_another_time() {
    for seed in 1..4 {
        let first = first_of(seed).await;
        let (peace, _) = session_with(seed, &first, Behaviour::Answer).await;
        let slots: BTreeSet<Moment> = peace.iter().map(|arrival| arrival.at).collect();
        assert!(slots.len() > 5 && peace.iter().all(|arrival| arrival.onion == first));

        let (turned, stage) = session_with(seed, &first, Behaviour::Refuse).await;
        let at: BTreeSet<Moment> = turned.iter().map(|arrival| arrival.at).collect();
        assert!(turned.iter().all(|arrival| arrival.onion != first), "there is no way to it");
        assert!(at.is_subset(&slots), "a slot at another time: {at:?} of {slots:?}");
        assert_eq!(slots.len() - at.len(), 1, "one push went nowhere");
        // Circuits to two addresses are two (P7), and that to the one that was left is ended at once.
        let of_first = peace[0].isolation;
        assert!(turned.iter().all(|arrival| arrival.isolation != of_first));
        let ended = stage.watched.ended();
        let (when, _) = ended.iter().find(|(_, isolation)| *isolation == of_first).unwrap();
        assert!(slots.contains(when), "in the slot that failed");
    }
}

#[tokio::test(start_paused = true)]
async fn d2_what_may_have_reached_an_address_goes_to_no_other() {
    for seed in 1..4 {
        let first = first_of(seed).await;
        for behaviour in [Behaviour::CloseUnanswered, Behaviour::Unavailable, Behaviour::Withhold] {
            let (arrivals, _) = session_with(seed, &first, behaviour).await;
            let ids = |at_first: bool| -> Vec<[u8; 16]> {
                let there = arrivals.iter().filter(|arrival| (arrival.onion == first) == at_first);
                there.map(|arrival| opened(arrival).id.0).collect()
            };
            let (stuck, others) = (ids(true), ids(false));
            let one: BTreeSet<_> = stuck.iter().collect();
            assert_eq!(one.len(), 1, "{behaviour:?}: others went there, too");
            assert!(stuck.len() > 1, "{behaviour:?}: it is tried again");
            assert!(others.len() > 2, "{behaviour:?}: the others go on");
            assert!(!others.contains(&stuck[0]), "{behaviour:?}: two addresses have it");
            let distinct: BTreeSet<_> = others.iter().collect();
            assert_eq!(distinct.len(), others.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d3_what_may_have_reached_an_address_arrives_there_when_it_answers_again() {
    let first = first_of(1).await;
    let mut stage = stage(1);
    stage.watched.behave_at(&first, Behaviour::CloseUnanswered);
    while stage.watched.arrivals().len() < 4 {
        stage.second().await;
    }
    let stuck = opened(&stage.watched.arrivals()[0]).id;
    stage.watched.behave_at(&first, Behaviour::Answer);
    let tried = |stage: &Stage| {
        let arrivals = stage.watched.arrivals();
        arrivals.iter().filter(|arrival| opened(arrival).id == stuck).count()
    };
    let before = tried(&stage);
    while tried(&stage) == before {
        stage.second().await;
    }
    let until = stage.now() + HOUR;
    stage.until(until).await;
    assert_eq!(tried(&stage), before + 1, "it was decided about");
    let arrivals = stage.watched.arrivals();
    let last = arrivals.iter().find(|arrival| opened(arrival).id == stuck).unwrap();
    assert_eq!(last.onion, first);
}
