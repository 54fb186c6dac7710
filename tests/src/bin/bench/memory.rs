//! Memory that is resident when nothing is being sent: what an agent adds to its host, and a proxy.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};
use undertone_tests::process::Process;

use crate::{Comparison, say, tor::Tor};

const READINGS: usize = 7;
/// All of them have sent something and have a circuit; then this long nobody asks them for anything but
/// the agent's own few pushes.
const IDLE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn measure(tor: &mut Tor) -> Result<Vec<Comparison>> {
    let host = tor.host_alone()?;
    tor.curl(&tor.client, 10)?;
    tor.agent.row()?;
    say(&format!("idle for {} s", IDLE.as_secs()));
    // Not a wait for something: this much time is part of what is measured.
    thread::sleep(IDLE);
    let mut agent = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    let mut proxy = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..READINGS {
        thread::sleep(PAUSE);
        let ingest = tor.proxy.process().context("the proxy has ended")?;
        for (which, key) in ["Rss:", "Pss:"].into_iter().enumerate() {
            let alone = mebibytes(&host.process, key)?;
            agent[which][0].push(mebibytes(&tor.agent.process, key)? - alone);
            agent[which][1].push(mebibytes(&tor.client.process, key)?);
            proxy[which][0].push(mebibytes(ingest, key)?);
            proxy[which][1].push(mebibytes(&tor.service.process, key)?);
        }
    }
    let comparison = |what: &str, kind: &str, peer: &str, [ours, theirs]: [Vec<f64>; 2]| {
        Comparison::new("memory", &format!("{what}, {kind}"), "MiB", true)
            .with("undertone", ours)
            .with(peer, theirs)
    };
    let of = |what: &str, peer: &str, [resident, proportional]: [[Vec<f64>; 2]; 2]| {
        [
            comparison(what, "resident", peer, resident),
            comparison(what, "proportional", peer, proportional),
        ]
    };
    let agent = of("an agent, less its host alone", "C tor as a client", agent);
    let proxy = of("a proxy", "C tor with an onion service", proxy);
    Ok(agent.into_iter().chain(proxy).collect())
}

/// One of the sums over all that a process has mapped.
fn mebibytes(process: &Process, key: &str) -> Result<f64> {
    let path = format!("/proc/{}/smaps_rollup", process.pid());
    let sums = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = sums.lines().find_map(|line| line.strip_prefix(key)).context("it is missing")?;
    let kilobytes = line.trim().strip_suffix("kB").context("it has another unit")?;
    Ok(kilobytes.trim().parse::<f64>()? / 1024.0)
}
