//! Everything that takes bytes from outside, each as a function that panics if it finds something.
//!
//! `make fuzz` runs them under libFuzzer, `make test` with the bytes in `corpus/` alone.

mod agent;
mod proxy;
mod wire;

/// What is fuzzed: the name of its program and of its corpus, and what is done with bytes.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("line_protocol", wire::line_protocol),
    ("points", wire::points),
    ("parcel", wire::parcel),
    ("payload", wire::payload),
    ("schema", wire::schema),
    ("endpoint", wire::endpoint),
    ("http", proxy::http),
    ("admission", proxy::admission),
    ("circuit_line", proxy::circuit_line),
    ("proxy_config", proxy::config),
    ("key_file", proxy::key_file),
    ("listener", agent::listener),
    ("ledger", agent::ledger),
    ("consent", agent::consent),
];

/// Runs the function of this name.
///
/// # Panics
/// If it finds something, or there is none of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(other, _)| *other == name);
    let (_, function) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    function(bytes);
}

/// Bytes taken off the front of what the fuzzer gives.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text of up to 255 bytes.
    fn text(&mut self) -> String {
        let length = usize::from(self.byte()).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}
