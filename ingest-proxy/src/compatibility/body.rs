//! Bodies in memory: each within its limits, and all of them within theirs. Whoever sends slowly holds only
//! what it has sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap,
    body::{Body as _, Incoming},
};
use tokio::time::timeout;
use undertone_wire::influxdb::{Body, BodyError, BodyLimits};

use crate::config::CompatibilityConfig;

/// All bodies that are received or kept.
#[derive(Debug)]
pub(super) struct Bodies {
    limits: BodyLimits,
    room: Arc<Room>,
}

/// Bytes that may be held.
#[derive(Debug)]
struct Room {
    held: AtomicUsize,
    limit: usize,
}

/// Part of the room, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// Of all bodies there are too many bytes.
    Full,
    /// It is the body's fault.
    Bad(BodyError),
}

impl Bodies {
    pub(super) fn new(config: &CompatibilityConfig) -> Self {
        let room = Room { held: AtomicUsize::new(0), limit: config.memory_bytes };
        Self {
            limits: BodyLimits {
                received: config.body_bytes,
                decompressed: config.decompressed_bytes,
            },
            room: Arc::new(room),
        }
    }

    /// The whole body, decompressed as its head says, and what it holds of the room.
    pub(super) async fn receive(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
        limit: Duration,
    ) -> Result<(Vec<u8>, Place), NoBody> {
        let all = async {
            let mut place = Place { room: Arc::clone(&self.room), bytes: 0 };
            let mut plain =
                Body::new(headers, body.size_hint().lower(), self.limits).map_err(NoBody::Bad)?;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| NoBody::Bad(BodyError::Broken))?;
                let Ok(data) = frame.into_data() else { continue };
                plain.write(&data).map_err(NoBody::Bad)?;
                place.grow(plain.held())?;
            }
            let bytes = plain.finish().map_err(NoBody::Bad)?;
            place.grow(bytes.len())?;
            Ok((bytes, place))
        };
        timeout(limit, all).await.unwrap_or(Err(NoBody::Bad(BodyError::TooSlow)))
    }
}

impl Place {
    /// Takes more of the room.
    fn grow(&mut self, bytes: usize) -> Result<(), NoBody> {
        let more = bytes.saturating_sub(self.bytes);
        let limit = self.room.limit;
        let grown = |held: usize| held.checked_add(more).filter(|held| *held <= limit);
        let taken = self.room.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        taken.map_err(|_| NoBody::Full)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Takes what a client that is refused still sends, within limits, and keeps none of it.
pub(super) async fn discard(body: &mut Incoming, mut room: usize, limit: Duration) {
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = room.checked_sub(length) else { break };
            room = rest;
        }
    };
    let _ = timeout(limit, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_all_bodies_together_hold_no_more_than_their_limit() {
        let room = Arc::new(Room { held: AtomicUsize::new(0), limit: 100 });
        let mut places: Vec<Place> =
            (0..3).map(|_| Place { room: Arc::clone(&room), bytes: 0 }).collect();
        assert_eq!(places[0].grow(60), Ok(()));
        assert_eq!(places[1].grow(40), Ok(()));
        assert_eq!(places[0].grow(60), Ok(()), "nothing more");
        assert_eq!(places[2].grow(1), Err(NoBody::Full));
        places.remove(0);
        assert_eq!(places[1].grow(60), Ok(()));
        places.clear();
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }
}
