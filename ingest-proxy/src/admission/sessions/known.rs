//! One session that has a place.

use std::time::Duration;

use sha2::{Digest, Sha256};
use undertone_wire::{Point, session::SessionId};

use super::BEGINNING;
use crate::{queue::SessionRecord, rate::Used};

/// How often it is written down that a session was heard of.
const WRITE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A series within a session: the first 8 bytes of a SHA-256 over measurement and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesHash(u64);

impl SeriesHash {
    /// The series of a point, whatever its session.
    pub(crate) fn of(point: &Point) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(&point.measurement);
        for (key, value) in point.tags.iter() {
            add(key);
            add(value);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_be_bytes(first))
    }
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// When it got its place.
    pub(super) since: Duration,
    /// When it was last heard of.
    pub(super) seen: Duration,
    /// Its series, in order.
    pub(super) series: Vec<SeriesHash>,
    pub(super) requests: Used,
    pub(super) points: Used,
    pub(super) parcels: Recent,
    /// When what is on the disk was written, and how many series it has.
    on_disk: Option<(Duration, usize)>,
}

/// Where a series is among those of its session.
pub(super) enum Kept {
    Known,
    New(usize),
}

impl Known {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            since: now,
            seen: now,
            series: Vec::new(),
            requests: Used::default(),
            points: Used::default(),
            parcels: Recent::default(),
            on_disk: None,
        }
    }

    /// As an earlier process has written it.
    pub(super) fn recorded(record: SessionRecord) -> (SessionId, Self) {
        let ago = |seconds| BEGINNING.saturating_sub(Duration::from_secs(seconds));
        let seen = ago(record.unseen_seconds);
        let mut series: Vec<SeriesHash> = record.series.into_iter().map(SeriesHash).collect();
        series.sort_unstable();
        let on_disk = Some((seen, series.len()));
        let known = Self { seen, series, on_disk, ..Self::new(ago(record.known_seconds)) };
        (SessionId::from(record.id), known)
    }

    pub(super) fn place_of(&self, series: SeriesHash) -> Kept {
        self.series.binary_search(&series).map_or_else(Kept::New, |_| Kept::Known)
    }

    /// What is to be written, if it isn't on the disk already.
    pub(super) fn unwritten(&self, id: SessionId, now: Duration) -> Option<SessionRecord> {
        let fresh = self
            .on_disk
            .is_some_and(|(written, series)| series == self.series.len() && now < written + WRITE);
        (!fresh).then(|| SessionRecord {
            id: *id.as_bytes(),
            known_seconds: now.saturating_sub(self.since).as_secs(),
            unseen_seconds: 0,
            series: self.series.iter().map(|series| series.0).collect(),
        })
    }

    /// So many series are on the disk now.
    pub(super) fn written(&mut self, series: usize, now: Duration) {
        self.on_disk = Some((now, series));
    }
}

/// How many parcels there were in the last one to two days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recent {
    day: u64,
    counts: [u64; 2],
}

impl Recent {
    pub(super) fn add(&mut self, now: Duration) {
        *self = self.at(now);
        self.counts[0] += 1;
    }

    pub(super) fn count(&self, now: Duration) -> u64 {
        self.at(now).counts.iter().sum()
    }

    fn at(self, now: Duration) -> Self {
        let day = now.as_secs() / DAY.as_secs();
        let counts = match day.saturating_sub(self.day) {
            0 => self.counts,
            1 => [0, self.counts[0]],
            _ => [0, 0],
        };
        Self { day, counts }
    }
}
