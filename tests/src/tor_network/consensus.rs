//! What an authority says of the network now.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::http;

/// The parts of a network consensus that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consensus {
    /// From when on it holds.
    pub valid_after: SystemTime,
    /// Until when a client takes it for valid.
    pub valid_until: SystemTime,
    /// Nickname to flags, such as `Exit` and `HSDir`.
    pub nodes: BTreeMap<String, Vec<String>>,
}

impl Consensus {
    /// Asks an authority's directory port.
    pub(super) fn fetch(dir_port: u16) -> Result<Self> {
        let path = "/tor/status-vote/current/consensus";
        let answer = http::request(dir_port, "GET", path, &[], &[])?;
        ensure!(answer.status == 200, "no consensus yet: status {}", answer.status);
        Self::parse(&answer.body)
    }

    fn parse(text: &str) -> Result<Self> {
        let time = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            parse_time(line.unwrap_or_default().trim()).with_context(|| format!("no {key}"))
        };
        let mut nodes = BTreeMap::new();
        let mut name = None;
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("r", rest)) => name = rest.split(' ').next().map(str::to_owned),
                Some(("s", flags)) => {
                    if let Some(name) = name.take() {
                        nodes.insert(name, flags.split(' ').map(str::to_owned).collect());
                    }
                }
                _ => {}
            }
        }
        Ok(Self { valid_after: time("valid-after ")?, valid_until: time("valid-until ")?, nodes })
    }

    /// Whether a node is listed with this flag.
    pub fn has(&self, name: &str, flag: &str) -> bool {
        self.nodes.get(name).is_some_and(|flags| flags.iter().any(|found| found == flag))
    }
}

/// `2026-11-22 18:11:54`, in UTC.
fn parse_time(text: &str) -> Option<SystemTime> {
    let mut parts = text.split(['-', ' ', ':']).map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    let [year, month, day] = [next()?, next()?, next()?];
    let [hour, minute, second] = [next()?, next()?, next()?];
    // Years that begin in March make the leap day the last one (H. Hinnant, "days_from_civil").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let text = "valid-after 2023-11-14 22:13:20\nfresh-until 2023-11-14 22:13:30\n\
                    valid-until 2024-02-29 00:00:01\nr auth1 x y\ns Authority Fast\nw Bandwidth=1\n";
        let consensus = Consensus::parse(text).unwrap();
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(seconds(consensus.valid_after).as_secs(), 1_700_000_000);
        assert_eq!(seconds(consensus.valid_until).as_secs(), 1_709_164_801);
        assert!(consensus.has("auth1", "Fast") && !consensus.has("auth1", "Exit"));
        assert!(Consensus::parse("").is_err());
    }
}
