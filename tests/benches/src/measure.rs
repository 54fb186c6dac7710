//! Measuring side by side: rounds in which every contender has its turn, so that what disturbs the
//! machine disturbs all of them.

use anyhow::{Context, Result};
use serde_json::json;

/// How often each contender is measured.
pub(crate) const ROUNDS: usize = 9;

/// So many slices make a sample where one thread works: the fastest counts, so that it says what the work
/// costs, and not what else the machine did.
pub(crate) const SLICES: u32 = 5;

/// The seconds of the fastest slice.
pub(crate) fn fastest(mut slice: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..SLICES {
        fastest = fastest.min(slice()?);
    }
    Ok(fastest)
}

/// Somebody who is measured: a name, and what makes one sample.
pub(crate) struct Contender<'a> {
    name: String,
    sample: Box<dyn FnMut() -> Result<f64> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        sample: impl FnMut() -> Result<f64> + 'a,
    ) -> Contender<'a> {
        Contender { name: name.into(), sample: Box::new(sample) }
    }
}

/// What is compared, in which unit, and which way is better.
pub(crate) struct Comparison<'a> {
    pub(crate) part: &'a str,
    pub(crate) what: String,
    pub(crate) unit: &'a str,
    pub(crate) less_is_better: bool,
}

impl Comparison<'_> {
    /// Measures all contenders, ours first, and prints their samples.
    pub(crate) fn between(&self, mut contenders: Vec<Contender<'_>>) -> Result<()> {
        eprintln!("{}: {} …", self.part, self.what);
        let mut samples = vec![Vec::new(); contenders.len()];
        // The first round warms up what has caches.
        for round in 0..=ROUNDS {
            for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
                let sample = (contender.sample)().with_context(|| contender.name.clone())?;
                if round > 0 {
                    samples.push(sample);
                }
            }
        }
        let contenders: Vec<_> = contenders
            .iter()
            .zip(samples)
            .map(|(contender, samples)| json!({ "name": contender.name, "samples": samples }))
            .collect();
        let comparison = json!({
            "part": self.part,
            "what": self.what,
            "unit": self.unit,
            "less_is_better": self.less_is_better,
            "contenders": contenders,
        });
        println!("{comparison}");
        Ok(())
    }
}
