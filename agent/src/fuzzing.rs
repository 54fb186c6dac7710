//! Doors for what feeds parsers arbitrary bytes (`tests/fuzz`). Not part of the interface: this may change at any time.

use crate::{
    consent::Answer,
    ledger::{SentParcel, fuzzing},
};

/// What a ledger's file holds, and whether it is damaged.
pub fn ledger(file: &[u8]) -> (Vec<SentParcel>, bool) {
    fuzzing::read(file)
}

/// A file that holds these.
pub fn ledger_file(parcels: &[SentParcel]) -> Vec<u8> {
    fuzzing::write(parcels)
}

/// What a file of consent says.
pub fn consent(text: &str) -> Answer {
    Answer::parse(text)
}

/// The file that says it.
pub fn consent_file(answer: &Answer) -> String {
    answer.text()
}
