//! How the ledger's files look inside. Pure.
//!
//! A head with a version, then records: a length, a checksum, and what they say. A record that isn't
//! whole is where a file ends: its writer died meanwhile, or still writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::sent::{Outcome, SentParcel};

/// How every file begins; the last byte is the version.
pub(super) const HEAD: &[u8] = b"undertone ledger\0\x01";
/// Length and checksum, in bytes.
const FRAME: usize = 4 + CHECKSUM;
/// So many bytes of SHA-256: enough against accidents, of which alone it is a sign.
const CHECKSUM: usize = 8;
/// The longest record, in bytes: a request is 3,904.
const LENGTH_LIMIT: usize = 64 * 1024;
/// The last millisecond of the year 9999 since 1970: no later time can be shown.
const LATEST: u64 = 253_402_300_799_999;

const ATTEMPT: u8 = 1;
const OUTCOME: u8 = 2;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// These bytes are about to be handed to Tor.
    Attempt { number: u32, parcel: SentParcel },
    /// What became of the attempt of this number in the same file.
    Outcome { number: u32, outcome: Outcome },
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) parcels: Vec<SentParcel>,
    /// Whether something in it is wrong, beyond a last record that isn't whole.
    pub(super) damaged: bool,
}

/// A record as it stands in a file.
pub(super) fn write(record: &Record) -> Vec<u8> {
    let said = match record {
        Record::Attempt { number, parcel } => {
            let since = parcel.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            let milliseconds = u64::try_from(since.as_millis()).unwrap_or(LATEST).min(LATEST);
            let length = u32::try_from(parcel.length).unwrap_or(u32::MAX);
            [
                &[ATTEMPT][..],
                &number.to_be_bytes(),
                &milliseconds.to_be_bytes(),
                &length.to_be_bytes(),
                &parcel.bytes,
            ]
            .concat()
        }
        Record::Outcome { number, outcome } => {
            [&[OUTCOME][..], &number.to_be_bytes(), &[outcome.code()]].concat()
        }
    };
    let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &checksum(&said), &said].concat()
}

/// What a whole file holds; never an error, whatever it is.
pub(super) fn read(file: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let Some(mut rest) = file.strip_prefix(HEAD) else {
        // The head itself may not be whole yet.
        contents.damaged = !HEAD.starts_with(file);
        return contents;
    };
    let mut numbers: Vec<u32> = Vec::new();
    loop {
        match next(rest) {
            Next::End => return contents,
            Next::Damaged => {
                contents.damaged = true;
                return contents;
            }
            Next::Record(record, length) => {
                rest = &rest[length..];
                match record {
                    Record::Attempt { number, parcel } => {
                        numbers.push(number);
                        contents.parcels.push(parcel);
                    }
                    Record::Outcome { number, outcome } => {
                        // Mostly the last one.
                        if let Some(index) = numbers.iter().rposition(|n| *n == number) {
                            contents.parcels[index].outcome = outcome;
                        }
                    }
                }
            }
        }
    }
}

enum Next {
    Record(Record, usize),
    End,
    Damaged,
}

fn next(rest: &[u8]) -> Next {
    let Some((frame, said)) = rest.split_at_checked(FRAME) else { return Next::End };
    let length = usize::try_from(u32::from_be_bytes(field(frame, 0))).unwrap_or(usize::MAX);
    // After a power cut, a file system may have left zeros.
    if length == 0 && rest.iter().all(|byte| *byte == 0) {
        return Next::End;
    }
    if length > LENGTH_LIMIT {
        return Next::Damaged;
    }
    let Some(said) = said.get(..length) else { return Next::End };
    if checksum(said)[..] != frame[4..] {
        return Next::Damaged;
    }
    record(said).map_or(Next::Damaged, |record| Next::Record(record, FRAME + length))
}

fn record(said: &[u8]) -> Option<Record> {
    match (said.first()?, said.len()) {
        (&ATTEMPT, 17..) => {
            let milliseconds = u64::from_be_bytes(field(said, 5));
            let at = UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))?;
            let length = usize::try_from(u32::from_be_bytes(field(said, 13))).ok()?;
            let bytes = said[17..].to_vec();
            // No zeros are made up beyond what a record could have held.
            if length < bytes.len() || length > LENGTH_LIMIT || milliseconds > LATEST {
                return None;
            }
            let parcel = SentParcel { at, bytes, length, outcome: Outcome::Attempted };
            Some(Record::Attempt { number: u32::from_be_bytes(field(said, 1)), parcel })
        }
        (&OUTCOME, 6) => {
            let outcome = Outcome::of_code(said[5]);
            Some(Record::Outcome { number: u32::from_be_bytes(field(said, 1)), outcome })
        }
        _ => None,
    }
}

/// The parcel of bytes that are handed to Tor now. Zeros at the end are counted, not kept.
pub(super) fn parcel(bytes: &[u8]) -> Option<SentParcel> {
    let kept = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // A record must be one that can be read again.
    (bytes.len() < LENGTH_LIMIT - FRAME - 17).then(|| SentParcel {
        at: SystemTime::now(),
        bytes: bytes[..kept].to_vec(),
        length: bytes.len(),
        outcome: Outcome::Attempted,
    })
}

fn checksum(said: &[u8]) -> [u8; CHECKSUM] {
    field(&Sha256::digest(said), 0)
}

/// The `N` bytes at `start`; the caller has checked the length.
fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&bytes[start..start + N]);
    found
}
