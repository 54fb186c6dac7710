//! Pushes through Tor: the first one, and those on a circuit that is there.

use anyhow::Result;

use crate::{Comparison, comparison::median, say, tor::Tor};

const ROUNDS: usize = 7;

const OURS: &str = "undertone";
const PEER: &str = "C tor and curl";

pub(crate) fn measure(tor: &mut Tor) -> Result<Vec<Comparison>> {
    let mut first = [Vec::new(), Vec::new()];
    for round in 1..=ROUNDS {
        say(&format!("first push, round {round} of {ROUNDS}"));
        first[0].push(tor.first_push()?);
        first[1].push(tor.first_curl()?);
    }
    let mut latency = [Vec::new(), Vec::new()];
    let mut rate = [Vec::new(), Vec::new()];
    // What was sent while the above was measured.
    for _ in 0..3 {
        tor.agent.row()?;
    }
    for round in 1..=ROUNDS {
        say(&format!("pushes on a warm circuit, round {round} of {ROUNDS}"));
        let (pushes, each, all) = tor.agent.row()?;
        latency[0].push(each);
        rate[0].push(pushes / all * 1e3);
        // Until its next row the agent has nothing to send.
        let times = tor.curl(&tor.client, pushes.max(10.0) as usize)?;
        latency[1].extend(median(&times));
        rate[1].push(times.len() as f64 / times.iter().sum::<f64>() * 1e3);
    }
    let comparison = |what, unit, less_is_better, [ours, theirs]: [Vec<f64>; 2]| {
        Comparison::new("pushes", what, unit, less_is_better).with(OURS, ours).with(PEER, theirs)
    };
    Ok(vec![
        comparison("first push, from a cold start", "ms", true, first),
        comparison("a push on a warm circuit", "ms", true, latency),
        comparison("pushes one after another", "pushes/s", false, rate),
    ])
}
