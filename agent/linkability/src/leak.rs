//! Controls: what would be seen of an agent that had a certain fault. Made of what was seen of one without,
//! so that no line of the agent knows of them.

use crate::{
    seen::{Arrival, Names},
    workload::Draws,
};

/// A fault that joins sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    /// Totals go on from session to session.
    CountersKept,
    /// A session begins as soon as the one before has ended.
    NoSilence,
    /// Pushes come every 180 s, in a phase that the agent keeps.
    FixedPeriod,
    /// A request is as long as what is in it.
    SizeByLoad,
    /// Points carry the machine's own time.
    ClockSent,
    /// A process goes on with the session of the one before it.
    SessionReused,
    /// Moving averages go on from session to session.
    ReservoirKept,
    /// What a process had not sent, the next one sends.
    OldParcelsSent,
    /// The first push of a session goes through the circuit of the one before.
    SharedCircuit,
}

impl Leak {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::CountersKept,
        Self::NoSilence,
        Self::FixedPeriod,
        Self::SizeByLoad,
        Self::ClockSent,
        Self::SessionReused,
        Self::ReservoirKept,
        Self::OldParcelsSent,
        Self::SharedCircuit,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::CountersKept => "counters not reset",
            Self::NoSilence => "no silence",
            Self::FixedPeriod => "fixed period",
            Self::SizeByLoad => "size by load",
            Self::ClockSent => "clock sent",
            Self::SessionReused => "session ID reused after a restart",
            Self::ReservoirKept => "averages and reservoirs kept",
            Self::OldParcelsSent => "old parcels sent after a restart",
            Self::SharedCircuit => "two sessions on one circuit",
        }
    }

    /// Whether it shows in numbers, and not in anything around them.
    pub fn is_of_values(self) -> bool {
        self == Self::ReservoirKept
    }

    /// Changes what arrives of one agent; `processes` says for each life which process it was in.
    pub(crate) fn apply(
        self,
        arrivals: &mut Vec<Arrival>,
        names: &Names,
        processes: &[u32],
        draws: &mut Draws,
    ) {
        match self {
            Self::CountersKept => keep_counters(arrivals, names),
            Self::NoSilence => leave_out_silences(arrivals, draws),
            Self::FixedPeriod => send_periodically(arrivals, draws),
            Self::SizeByLoad => {
                for arrival in arrivals {
                    // Numbers that aren't zero take room.
                    let told = arrival.facts.iter().map(|fact| fact.value.abs().ln_1p());
                    arrival.length = 300 + (4.0 * told.sum::<f64>()) as usize;
                }
            }
            Self::ClockSent => {
                let offset = 60_000.0 * draws.normal();
                for arrival in arrivals {
                    let now = arrival.at * 1_000.0 + offset;
                    for fact in &mut arrival.facts {
                        fact.before = 10_000_000_000 + now as i64 - fact.before * 60_000;
                    }
                    // An empty batch tells no time.
                }
            }
            Self::SessionReused => reuse_sessions(arrivals, processes),
            Self::ReservoirKept => keep_averages(arrivals, names),
            Self::OldParcelsSent => send_old_parcels(arrivals, processes),
            Self::SharedCircuit => {
                for next in 1..arrivals.len() {
                    if arrivals[next].life != arrivals[next - 1].life {
                        arrivals[next].circuit = arrivals[next - 1].circuit;
                    }
                }
            }
        }
    }
}

fn keep_counters(arrivals: &mut [Arrival], names: &Names) {
    let is_total: Vec<bool> = names.list().iter().map(|name| name.ends_with(" count")).collect();
    let (mut before, mut last) = (vec![0.0; is_total.len()], vec![0.0; is_total.len()]);
    let mut life = None;
    for arrival in arrivals {
        if life != Some(arrival.life) {
            before.clone_from(&last);
            life = Some(arrival.life);
        }
        for fact in &mut arrival.facts {
            let name = usize::from(fact.name);
            if is_total.get(name) == Some(&true) {
                fact.value += before[name];
                last[name] = fact.value;
            }
        }
    }
}

fn leave_out_silences(arrivals: &mut [Arrival], draws: &mut Draws) {
    let (mut shift, mut last) = (0.0, None);
    for arrival in arrivals {
        if let Some((life, at)) = last
            && life != arrival.life
        {
            // Only a silence: a machine that was off for hours still was.
            let silence: f64 = arrival.at - shift - at;
            if silence < 1.3 * 3_600.0 {
                shift += (silence - draws.exponential(171.0)).max(0.0);
            }
        }
        arrival.at -= shift;
        last = Some((arrival.life, arrival.at));
    }
}

fn send_periodically(arrivals: &mut [Arrival], draws: &mut Draws) {
    let (period, phase) = (180.0, 180.0 * draws.uniform());
    for arrival in arrivals {
        let slot = ((arrival.at - phase) / period).round();
        arrival.at = slot * period + phase + draws.exponential(1.0);
    }
}

fn reuse_sessions(arrivals: &mut [Arrival], processes: &[u32]) {
    let process = |life: u32| processes.get(life as usize).copied();
    for next in 1..arrivals.len() {
        let (life, before) = (arrivals[next].life, arrivals[next - 1].life);
        // The first session of a process is the last of the one before.
        let first = process(life) != life.checked_sub(1).and_then(process);
        if first {
            arrivals[next].session = if life == before {
                arrivals[next - 1].session
            } else {
                arrivals[..next]
                    .iter()
                    .rev()
                    .find(|old| old.life < life)
                    .map_or(0, |old| old.session)
            };
        }
    }
}

fn keep_averages(arrivals: &mut [Arrival], names: &Names) {
    let decays: Vec<Option<f64>> = names
        .list()
        .iter()
        .map(|name| {
            let minutes = [(" m1", 1.0), (" m5", 5.0), (" m15", 15.0)];
            minutes.iter().find(|(end, _)| name.ends_with(end)).map(|(_, minutes)| minutes * 60.0)
        })
        .collect();
    // What an average was when its session ended decays from there on, whatever else is added.
    let mut carried: Vec<(f64, f64)> = vec![(0.0, 0.0); decays.len()];
    let mut last = carried.clone();
    let mut life = None;
    for arrival in arrivals {
        if life != Some(arrival.life) {
            carried.clone_from(&last);
            life = Some(arrival.life);
        }
        for fact in &mut arrival.facts {
            let name = usize::from(fact.name);
            let Some(Some(decay)) = decays.get(name) else { continue };
            // The instruments are not read in the silence, so that nothing decays in it.
            if carried[name].1 == 0.0 {
                carried[name].1 = arrival.at;
            }
            let (value, since) = carried[name];
            fact.value += value * (-(arrival.at - since) / decay).exp();
            last[name] = (fact.value, 0.0);
        }
    }
}

fn send_old_parcels(arrivals: &mut Vec<Arrival>, processes: &[u32]) {
    let mut old: Vec<Arrival> = Vec::new();
    for next in 1..arrivals.len() {
        let (now, before) = (&arrivals[next], &arrivals[next - 1]);
        let process = |life: u32| processes.get(life as usize);
        if now.life != before.life && process(now.life) != process(before.life) {
            let waited = ((now.at - before.at) / 600.0) as u8;
            old.push(Arrival { at: now.at - 1.0, age: waited.max(1), ..before.clone() });
        }
    }
    arrivals.extend(old);
    arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
}
