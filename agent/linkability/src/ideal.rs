//! A crowd without a program: lives, silences and send times drawn as invariants P3 and P5 say, on the same
//! machines. What an attacker reaches here is what the design gives away; what it reaches beyond that in the
//! real crowd would be a fault.

use crate::{
    crowd::{Machine, Setting},
    seen::Session,
    workload::{HOUR, draws},
};

/// Sessions as the design has them, of the machines of `setting`.
pub fn sessions(setting: &Setting) -> Vec<Session> {
    let mut sessions = Vec::new();
    for agent in 0..setting.agents {
        let Machine { runs, outages, .. } = setting.machine(agent);
        let mut draws = draws(setting.seed ^ 0x1dea, u64::from(agent));
        for run in runs {
            let mut now = run.begin + HOUR * draws.uniform();
            while now < run.end {
                let life = loop {
                    let beyond = draws.exponential(6.0 * HOUR);
                    if beyond <= 23.5 * HOUR {
                        break 0.5 * HOUR + beyond;
                    }
                };
                let end = (now + life).min(run.end);
                let mut seen: Option<Session> = None;
                while now < end {
                    now += draws.exponential(180.0).min(540.0);
                    let blocked = outages.iter().any(|out| (out.begin..out.end).contains(&now));
                    if now < end && !blocked {
                        let begin = seen.as_ref().map_or(now, |seen| seen.begin);
                        seen = Some(Session { agent, begin, end: now, ..Session::default() });
                    }
                }
                sessions.extend(seen);
                now = end + HOUR * draws.uniform();
            }
        }
    }
    sessions
}
