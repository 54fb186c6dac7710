//! A schema's version: a hash of all that it says.

use sha2::{Digest, Sha256};

use super::{Digits, Schema};

/// So many bytes of the hash are the version.
const LENGTH: usize = 8;

impl Schema {
    /// What tells this schema from others: 16 hexadecimal digits, of the hash of all that it declares,
    /// descriptions included. The same in agent, proxy and file, and in every release.
    ///
    /// Not on the wire. It is short: it tells schemas of one author apart, and is no signature.
    pub fn version(&self) -> String {
        let mut canonical = Canonical(Sha256::new_with_prefix(b"undertone schema 1\0"));
        canonical.text(&self.namespace);
        canonical.number(self.interval.as_secs());
        canonical.number(self.open.into());
        canonical.number(self.measurements.len() as u64);
        for measurement in self.measurements.values() {
            canonical.text(&measurement.name);
            canonical.text(measurement.kind.name());
            canonical.text(&measurement.description);
            canonical.text(measurement.unit().unwrap_or_default());
            canonical.number(measurement.tags.len() as u64);
            for (key, values) in &measurement.tags {
                canonical.text(key);
                let mut values: Vec<&String> = values.iter().collect();
                values.sort_unstable();
                canonical.number(values.len() as u64);
                values.into_iter().for_each(|value| canonical.text(value));
            }
            canonical.numbers(&measurement.buckets);
            canonical.number(match measurement.digits {
                Digits::Rounded(digits) => digits.into(),
                Digits::All => 0,
            });
            canonical.numbers(measurement.range.as_ref().map_or(&[], |range| range.as_slice()));
            canonical.number(measurement.linkable.into());
            if let Some(most) = measurement.max_per_second {
                // No name that could follow here is as long: schemas without it are as they always were.
                canonical.number(u64::MAX);
                canonical.number(most);
            }
        }
        let hash = canonical.0.finalize();
        data_encoding::HEXLOWER.encode(hash.get(..LENGTH).unwrap_or_default())
    }
}

/// Everything with its length before it, so that two schemas never are the same bytes.
struct Canonical(Sha256);

impl Canonical {
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn numbers(&mut self, numbers: &[f64]) {
        self.number(numbers.len() as u64);
        // 0 and −0 are the same number.
        numbers.iter().for_each(|number| self.number((number + 0.0).to_bits()));
    }
}
