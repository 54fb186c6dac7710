//! What was measured of something: samples of ours and of its peers, taken in turns.

use anyhow::{Context, Result};
use serde_json::Value;

/// One thing, measured in one unit.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) part: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) less_is_better: bool,
    /// Ours first.
    pub(crate) contenders: Vec<Contender>,
}

/// Who was measured, and the samples in the order of the rounds.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) samples: Vec<f64>,
}

impl Comparison {
    /// Of samples that are taken by this program.
    pub(crate) fn new(part: &str, what: &str, unit: &str, less_is_better: bool) -> Self {
        let [part, what, unit] = [part, what, unit].map(str::to_owned);
        Self { part, what, unit, less_is_better, contenders: Vec::new() }
    }

    /// With one more contender.
    pub(crate) fn with(mut self, name: &str, samples: Vec<f64>) -> Self {
        self.contenders.push(Contender { name: name.to_owned(), samples });
        self
    }

    /// A line that `undertone-benches` printed.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let text = |key: &str| value[key].as_str().map(str::to_owned).context("a text is missing");
        let contenders = value["contenders"].as_array().context("no contenders")?;
        let contender = |value: &Value| {
            let samples = value["samples"].as_array().context("no samples")?;
            let samples = samples.iter().map(|sample| sample.as_f64().context("not a number"));
            let name = value["name"].as_str().context("no name")?.to_owned();
            Ok(Contender { name, samples: samples.collect::<Result<_>>()? })
        };
        Ok(Self {
            part: text("part")?,
            what: text("what")?,
            unit: text("unit")?,
            less_is_better: value["less_is_better"].as_bool().context("no direction")?,
            contenders: contenders.iter().map(contender).collect::<Result<_>>()?,
        })
    }

    /// How many times better ours is than this peer: of the medians, and the least and the most of a
    /// round.
    pub(crate) fn ratio(&self, peer: &Contender) -> Option<Ratio> {
        let ours = self.contenders.first()?;
        let better = |ours: f64, theirs: f64| {
            if self.less_is_better { theirs / ours } else { ours / theirs }
        };
        let rounds = ours.samples.iter().zip(&peer.samples);
        let rounds: Vec<f64> = rounds.map(|(ours, theirs)| better(*ours, *theirs)).collect();
        Some(Ratio {
            medians: better(ours.median()?, peer.median()?),
            least: rounds.iter().copied().reduce(f64::min)?,
            most: rounds.iter().copied().reduce(f64::max)?,
        })
    }
}

/// Above 1, ours is better.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) medians: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Contender {
    /// None without samples.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.samples)
    }
}

/// The one in the middle; of an even number, the upper one.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_is_better_in_either_direction() {
        let line = r#"{"part": "p", "what": "w", "unit": "ns", "less_is_better": true, "contenders": [
            {"name": "undertone", "samples": [1.0, 2.0, 4.0]}, {"name": "peer", "samples": [4, 4, 4]}]}"#;
        let less = Comparison::parse(line).unwrap();
        let ratio = less.ratio(&less.contenders[1]).unwrap();
        assert_eq!((ratio.medians, ratio.least, ratio.most), (2.0, 1.0, 4.0));

        let more = Comparison { less_is_better: false, ..less };
        assert_eq!(more.ratio(&more.contenders[1]).unwrap().medians, 0.5);
    }
}
