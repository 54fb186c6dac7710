//! Points from elsewhere: what a listener or a collector hands over waits here for the next cut.
//!
//! Bounded, and nothing in it is dropped: when it is full, whoever hands points over is told, and keeps
//! them. What of it may leave is the gate's to say.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use undertone_wire::{
    Point,
    batch::{EncodeError, Payload},
};

use crate::gate::{Gate, Taken};

/// What may wait, in bytes as [`size`] counts them.
const BYTES_LIMIT: usize = 4 * 1024 * 1024;
/// What may wait together with the rest of requests whose beginning found room.
const FURTHER_BYTES_LIMIT: usize = 64 * 1024 * 1024;
/// What a string or a number costs beside its own bytes, roughly.
const OVERHEAD: usize = 64;
/// How many points a first parcel is tried with; afterwards as many as the last one had, and more.
const FIRST_TRY: usize = 64;

/// Takes points into an agent whose schema is open.
///
/// Cheap to clone, usable from any thread, never blocks. Points carry nanoseconds since 1970; what
/// the schema doesn't take is left out and counted in [`crate::Statistics::readings_refused`].
#[derive(Debug, Clone, Default)]
pub struct Points(Option<Arc<Mutex<Waiting>>>);

/// There is no room for these points now: they are given back, to be tried again later.
#[derive(Debug)]
pub struct Overflow(pub Vec<Point>);

#[derive(Debug, Default)]
struct Waiting {
    points: VecDeque<Point>,
    bytes: usize,
}

/// The points of one parcel.
#[derive(Debug)]
pub(crate) struct PointsCut {
    pub(crate) payload: Payload,
    /// How many points are too large for any parcel.
    pub(crate) dropped: usize,
}

/// Takes what waits through the gate and into parcels.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Arc<Mutex<Waiting>>,
    /// Passed, but not yet in a parcel.
    passed: VecDeque<Taken>,
    try_next: usize,
}

impl Points {
    /// Those of an agent that is off: whatever is added is gone.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Hands points over.
    ///
    /// # Errors
    /// [`Overflow`], with all of them, if too many wait already.
    pub fn add(&self, points: Vec<Point>) -> Result<(), Overflow> {
        self.add_within(points, BYTES_LIMIT)
    }

    /// Hands over more of what [`Points::add`] has taken the beginning of, and would otherwise get a
    /// second time.
    ///
    /// # Errors
    /// [`Overflow`], with all of them, if far too many wait already.
    pub fn add_further(&self, points: Vec<Point>) -> Result<(), Overflow> {
        self.add_within(points, FURTHER_BYTES_LIMIT)
    }

    fn add_within(&self, points: Vec<Point>, limit: usize) -> Result<(), Overflow> {
        let Some(waiting) = &self.0 else { return Ok(()) };
        let bytes: usize = points.iter().map(size).sum();
        let mut waiting = lock(waiting);
        if !waiting.points.is_empty() && waiting.bytes + bytes > limit {
            return Err(Overflow(points));
        }
        waiting.bytes += bytes;
        waiting.points.extend(points);
        Ok(())
    }
}

impl Inbox {
    /// An inbox, and what fills it.
    pub(crate) fn new() -> (Self, Points) {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let points = Points(Some(Arc::clone(&waiting)));
        (Self { waiting, passed: VecDeque::new(), try_next: FIRST_TRY }, points)
    }

    /// The points of the next parcel; none if nothing waits.
    pub(crate) fn cut(&mut self, gate: &mut Gate) -> Option<PointsCut> {
        let mut dropped = 0;
        loop {
            self.fill(gate);
            if self.passed.is_empty() {
                let payload = Payload::encode(&[]).ok().filter(|_| dropped > 0)?;
                return Some(PointsCut { payload, dropped });
            }
            let count = self.try_next.min(self.passed.len());
            let points: Vec<Point> =
                self.passed.iter().take(count).map(|taken| taken.point().clone()).collect();
            match Payload::encode(&points) {
                Ok(payload) => {
                    self.passed.drain(..count);
                    // Next time a quarter more, in case these were long ones.
                    self.try_next = (count + count / 4 + 1).max(self.try_next);
                    return Some(PointsCut { payload, dropped });
                }
                Err(EncodeError::TooLong) if count > 1 => self.try_next = count * 3 / 4,
                Err(_) => {
                    self.passed.pop_front();
                    dropped += 1;
                }
            }
        }
    }

    /// Takes points out of what waits until there are enough for a try.
    fn fill(&mut self, gate: &mut Gate) {
        let mut waiting = lock(&self.waiting);
        while self.passed.len() < self.try_next {
            let Some(point) = waiting.points.pop_front() else { return };
            waiting.bytes = waiting.bytes.saturating_sub(size(&point));
            self.passed.extend(gate.pass_point(point));
        }
    }
}

/// About how much memory a point takes, in bytes.
fn size(point: &Point) -> usize {
    let tags = point.tags.iter().map(|(key, value)| key.len() + value.len() + 2 * OVERHEAD);
    let fields = point.fields.keys().map(|key| key.len() + 2 * OVERHEAD);
    OVERHEAD + point.measurement.len() + tags.chain(fields).sum::<usize>()
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many points wait to be sent")
    }
}

impl std::error::Error for Overflow {}

#[cfg(test)]
mod tests {
    use undertone_wire::schema::Schema;

    use super::*;

    fn gate() -> Gate {
        Gate::new(Arc::new(Schema::open("fleet").unwrap()))
    }

    /// Hard to compress.
    fn point(number: u64) -> Point {
        let name = format!("m{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Point::new(name).field("value", number as f64 / 7.0).at(number as i64)
    }

    #[test]
    fn d4_every_point_is_in_one_parcel_in_order() {
        let (mut inbox, points) = Inbox::new();
        let all: Vec<Point> = (0..2_000).map(point).collect();
        points.add(all.clone()).unwrap();
        let (mut sent, mut parcels, mut gate) = (Vec::new(), 0, gate());
        while let Some(cut) = inbox.cut(&mut gate) {
            assert_eq!(cut.dropped, 0);
            sent.extend(cut.payload.decode().unwrap());
            parcels += 1;
        }
        assert_eq!(sent, all);
        assert!((10..60).contains(&parcels), "{parcels} parcels");
    }

    #[test]
    fn d4_what_there_is_no_room_for_is_given_back() {
        let (mut inbox, points) = Inbox::new();
        let mut taken = 0;
        let back = loop {
            match points.add((0..1_000).map(point).collect()) {
                Ok(()) => taken += 1_000,
                Err(Overflow(back)) => break back,
            }
        };
        assert_eq!(back.len(), 1_000);
        assert!(points.add_further(vec![point(1)]).is_ok(), "the rest of what was begun");
        assert!(taken > 5_000);
        let mut gate = gate();
        while inbox.cut(&mut gate).is_some() {}
        assert!(points.add(back).is_ok(), "there is room again");
    }

    #[test]
    fn d4_a_point_too_large_for_any_parcel_is_dropped_and_counted() {
        let (mut inbox, points) = Inbox::new();
        let fields = (0..1_000).map(|number| point(number).fields[&"value".into()].clone());
        let large = fields.enumerate().fold(Point::new("large").at(1), |large, (index, value)| {
            large.field(format!("f{:x}", (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)), value)
        });
        points.add(vec![large, point(1)]).unwrap();
        let cut = inbox.cut(&mut gate()).unwrap();
        assert_eq!((cut.dropped, cut.payload.decode().unwrap()), (1, vec![point(1)]));
        assert!(inbox.cut(&mut gate()).is_none());
    }
}
