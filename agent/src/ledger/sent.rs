//! What was sent, as it is shown.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use undertone_wire::{
    Point,
    parcel::{self, Unverified},
    session::SessionId,
};

use crate::pusher::{FailureKind, Outcome as Pushed};

/// How a request's head ends.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What was sent, the oldest first.
#[derive(Debug, Default)]
pub struct Sent {
    parcels: std::vec::IntoIter<SentParcel>,
    damaged: Vec<PathBuf>,
}

/// One request, as it was handed to Tor. A parcel that was tried again is there each time.
#[derive(Clone, PartialEq, Eq)]
pub struct SentParcel {
    pub(super) at: SystemTime,
    /// Without the zeros at its end.
    pub(super) bytes: Vec<u8>,
    /// With them.
    pub(super) length: usize,
    pub(super) outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Not known: it is under way, or was cut off. It may have arrived, or not have left at all.
    Attempted,
    /// The ingest side took it.
    Taken,
    /// The ingest side called it malformed.
    Refused,
    /// No answer, or none that settles it; it may have arrived nevertheless.
    Failed(FailureKind),
}

impl Sent {
    pub(super) fn new(mut parcels: Vec<SentParcel>, damaged: Vec<PathBuf>) -> Self {
        // Those of one process are in order already, and stay so where times are equal.
        parcels.sort_by_key(|parcel| parcel.at);
        Self { parcels: parcels.into_iter(), damaged }
    }

    /// Files of the ledger that couldn't be read to their end: damaged, or another version's.
    pub fn damaged(&self) -> &[PathBuf] {
        &self.damaged
    }
}

impl Iterator for Sent {
    type Item = SentParcel;

    fn next(&mut self) -> Option<SentParcel> {
        self.parcels.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.parcels.size_hint()
    }
}

impl ExactSizeIterator for Sent {}

impl SentParcel {
    /// When, by this machine's clock. It isn't in the request.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// The request exactly as it was handed to Tor, head included: 3,904 bytes.
    pub fn request(&self) -> Vec<u8> {
        let mut request = self.bytes.clone();
        request.resize(self.length, 0);
        request
    }

    /// The session that it was sent under.
    pub fn session(&self) -> Option<SessionId> {
        Some(self.parcel()?.session.id())
    }

    /// The points in it, with times as they are sent: intervals before sealing, or nanoseconds since 1970
    /// if the schema is open. None if this is no parcel that this version can read.
    pub fn points(&self) -> Option<Vec<Point>> {
        self.parcel()?.payload.decode().ok()
    }

    /// Whether it has no points: it was sent so that silence doesn't show.
    pub fn is_chaff(&self) -> bool {
        self.points().is_some_and(|points| points.is_empty())
    }

    /// What became of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn parcel(&self) -> Option<Unverified> {
        let request = self.request();
        let head = request.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD)?;
        parcel::read_unverified(&request[head + END_OF_HEAD.len()..]).ok()
    }
}

impl fmt::Debug for SentParcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentParcel").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Outcome {
    /// The byte that stands for it in files.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Attempted => 0,
            Self::Taken => 1,
            Self::Refused => 2,
            Self::Failed(FailureKind::Tor) => 3,
            Self::Failed(FailureKind::Endpoint) => 4,
            Self::Failed(FailureKind::Unavailable) => 5,
            Self::Failed(FailureKind::Protocol) => 6,
            Self::Failed(FailureKind::Refused) => 7,
            Self::Failed(FailureKind::DataFolder) => 8,
            Self::Failed(FailureKind::ClientKey) => 9,
        }
    }

    /// What a byte stands for; a later version's is not known.
    pub(super) fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Taken,
            2 => Self::Refused,
            3 => Self::Failed(FailureKind::Tor),
            4 => Self::Failed(FailureKind::Endpoint),
            5 => Self::Failed(FailureKind::Unavailable),
            6 => Self::Failed(FailureKind::Protocol),
            7 => Self::Failed(FailureKind::Refused),
            8 => Self::Failed(FailureKind::DataFolder),
            9 => Self::Failed(FailureKind::ClientKey),
            _ => Self::Attempted,
        }
    }
}

impl From<Pushed> for Outcome {
    fn from(pushed: Pushed) -> Self {
        match pushed {
            Pushed::Taken => Self::Taken,
            Pushed::Malformed => Self::Refused,
            Pushed::Failed(kind) | Pushed::Hung(kind) => Self::Failed(kind),
        }
    }
}

/// A file's name, if it is one of a ledger: the second since 1970 in which it was begun, and a number.
pub(super) fn begun(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (second, number) = name.strip_suffix(super::disk::SUFFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    second.parse().ok()
}
