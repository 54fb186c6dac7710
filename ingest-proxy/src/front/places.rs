//! How many streams are answered at once, over all circuits (invariant S2).
//!
//! Nobody waits for a place: who comes when all are taken gets that of the stream that has had one for longest.
//! A push is short, and what stays is what waits to be waited for: circuits that open streams and say nothing
//! would otherwise keep everybody else out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The places that there are.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// In the order in which they came; who drops the sender takes the place away.
    streams: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), taken: Mutex::default() }
    }

    /// Does `work` in a place, until it is done or the place is another's.
    pub(crate) async fn hold(&self, work: impl Future<Output = ()>) {
        let (number, taken_away) = self.take();
        let _place = Place { places: self, number };
        tokio::select! {
            () = work => {}
            _ = taken_away => {}
        }
    }

    fn take(&self) -> (u64, oneshot::Receiver<()>) {
        let mut taken = self.lock();
        if taken.streams.len() >= self.limit {
            taken.streams.pop_first();
        }
        let (keep, taken_away) = oneshot::channel();
        let number = taken.next;
        taken.next += 1;
        taken.streams.insert(number, keep);
        (number, taken_away)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back however its stream ends.
struct Place<'a> {
    places: &'a Places,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.lock().streams.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn s2_who_comes_gets_the_place_of_who_has_said_nothing_for_longest() {
        let places = Arc::new(Places::new(2));
        let mut streams = JoinSet::new();
        let mut come = async |number: u32, silent: bool| {
            let held = Arc::clone(&places);
            streams.spawn(async move {
                held.hold(async {
                    if silent {
                        pending().await
                    }
                })
                .await;
                number
            });
            tokio::task::yield_now().await;
            streams.try_join_next().map(|ended| ended.unwrap())
        };
        assert_eq!(come(1, true).await, None);
        assert_eq!(come(2, true).await, None);
        // It has come while all places were taken, and is not kept waiting.
        come(3, false).await;
        tokio::task::yield_now().await;
        assert_eq!(places.lock().streams.keys().copied().collect::<Vec<_>>(), [1]);
        come(4, true).await;
        assert_eq!(places.lock().streams.len(), 2);
    }
}
