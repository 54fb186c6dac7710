//! `cpu`: how CPUs used their time between two reads, in percent.

use std::collections::BTreeMap;

use undertone_wire::Point;

use super::{POINTS_LIMIT, files::Files, percent};

/// The counters of a line of `/proc/stat`, in their order (`man 5 proc_stat`).
const COUNTERS: usize = 10;
const USER: usize = 0;
const NICE: usize = 1;
const GUEST: usize = 8;
const GUEST_NICE: usize = 9;
/// The counters that add up to all of the time: what guests used is in `user` and `nice` already.
const DISJOINT: usize = 8;

/// The field of each counter.
const FIELDS: [&str; COUNTERS] = [
    "usage_user",
    "usage_nice",
    "usage_system",
    "usage_idle",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

/// Time spent since the start, in ticks.
type Ticks = [u64; COUNTERS];

/// What the last read said.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    previous: BTreeMap<String, Ticks>,
}

impl Cpu {
    /// A point for all CPUs together, and for each alone if `per_cpu`, where time has passed.
    pub(super) fn read(&mut self, files: &mut Files, per_cpu: bool) -> Vec<Point> {
        let Some(text) = files.read("proc/stat") else { return Vec::new() };
        let mut current = BTreeMap::new();
        for line in text.lines().take_while(|line| line.starts_with("cpu")) {
            match parse(line) {
                Some((name, ticks)) if name == "cpu-total" || per_cpu => {
                    if current.len() == POINTS_LIMIT {
                        files.count_line();
                    } else {
                        current.insert(name, ticks);
                    }
                }
                Some(_) => {}
                None => files.count_line(),
            }
        }
        let points = current
            .iter()
            .filter_map(|(name, now)| point(name, self.previous.get(name)?, now))
            .collect();
        self.previous = current;
        points
    }
}

fn point(name: &str, before: &Ticks, now: &Ticks) -> Option<Point> {
    let whole = sum(now).checked_sub(sum(before)).filter(|ticks| *ticks > 0)?;
    // Some counters go back a little at times (`man 5 proc_stat` on `iowait`).
    let mut spent: Ticks = std::array::from_fn(|at| now[at].saturating_sub(before[at]));
    spent[USER] = spent[USER].saturating_sub(spent[GUEST]);
    spent[NICE] = spent[NICE].saturating_sub(spent[GUEST_NICE]);
    let point = Point::new("cpu").tag("cpu", name);
    Some(
        FIELDS
            .iter()
            .zip(spent)
            .fold(point, |point, (field, ticks)| point.field(*field, percent(ticks, whole))),
    )
}

fn sum(ticks: &Ticks) -> u64 {
    ticks[..DISJOINT].iter().fold(0, |sum, ticks| sum.saturating_add(*ticks))
}

/// A line's CPU and counters. Old kernels have fewer counters: what is missing is 0.
fn parse(line: &str) -> Option<(String, Ticks)> {
    let mut words = line.split_whitespace();
    let name = match words.next()? {
        "cpu" => "cpu-total".to_owned(),
        name => name.to_owned(),
    };
    let mut ticks = [0; COUNTERS];
    for (at, counter) in ticks.iter_mut().enumerate() {
        match words.next() {
            Some(word) => *counter = word.parse().ok()?,
            None if at > 3 => break,
            None => return None,
        }
    }
    Some((name, ticks))
}
