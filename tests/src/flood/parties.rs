//! Who takes part in a flood: honest sessions, and two kinds of attackers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use tokio::{sync::watch, time::sleep};
use undertone_wire::{parcel::Parcel, session::SessionKey};

use super::{key, pushes::Pushes};

/// Between two reports: as long on average as in the profile `anonymous`, and at most.
const SLOT: f64 = 3.0;
const LONGEST_SLOT: f64 = 9.0;
/// How many attackers bring one parcel a circuit at the same time.
pub(super) const AT_ONCE: u64 = 8;
/// How long an attacker stays on a circuit, and how often it comes there.
const HELD: u32 = 15;
const EACH: Duration = Duration::from_secs(2);

/// A session as an agent has it: one circuit, a parcel in each slot, kept unless it is answered 204.
#[derive(Debug)]
pub(super) struct Honest {
    key: SessionKey,
    circuit: u32,
    waiting: Option<Parcel>,
    random: u64,
    pub(super) established: bool,
    pub(super) began: SystemTime,
    pub(super) taken: u64,
}

impl Honest {
    pub(super) fn new(key: SessionKey, established: bool, pushes: &Pushes) -> Self {
        let circuit = pushes.circuit();
        let (waiting, began, random) = (None, SystemTime::now(), u64::from(circuit) + 1);
        Self { key, circuit, waiting, random, established, began, taken: 0 }
    }

    pub(super) fn id(&self) -> String {
        self.key.id().to_string()
    }

    /// One slot.
    pub(super) async fn push(&mut self, pushes: &Pushes) -> Result<()> {
        let parcel = match self.waiting.take() {
            Some(parcel) => parcel,
            None => pushes.seal(&self.key)?,
        };
        match pushes.push(self.circuit, &parcel).await {
            Some(204) => self.taken += 1,
            _ => self.waiting = Some(parcel),
        }
        Ok(())
    }

    /// Reports from `after` on until the end; the last parcel is answered, too.
    pub(super) async fn report(
        mut self,
        pushes: Arc<Pushes>,
        after: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Self> {
        let mut pause = after;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(self),
                () = sleep(pause) => {}
            }
            if !self.established && self.taken == 0 && self.waiting.is_none() {
                self.began = SystemTime::now();
            }
            self.push(&pushes).await?;
            pause = self.slot();
        }
    }

    /// Exponentially distributed and truncated, from a generator that is the same in each run.
    fn slot(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let uniform = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64((-SLOT * (1.0 - uniform).ln()).min(LONGEST_SLOT))
    }
}

/// Holds a circuit for a new session, then another one; returns how many requests were answered.
pub(super) async fn hold(
    pushes: Arc<Pushes>,
    first: SessionKey,
    stop: watch::Receiver<bool>,
) -> Result<u64> {
    let (mut answered, mut session) = (0, first);
    for life in 0.. {
        let circuit = pushes.circuit();
        for _ in 0..HELD {
            let parcel = pushes.seal(&session)?;
            answered += u64::from(pushes.push(circuit, &parcel).await.is_some());
            let mut stopped = stop.clone();
            let stopped = stopped.wait_for(|stop| *stop);
            if tokio::time::timeout(EACH, stopped).await.is_ok() {
                return Ok(answered);
            }
        }
        session = next(&session, life);
    }
    Ok(answered)
}

/// Brings a new session on a new circuit, as often as it is answered.
pub(super) async fn once(
    pushes: Arc<Pushes>,
    first: SessionKey,
    stop: watch::Receiver<bool>,
) -> Result<u64> {
    let (mut answered, mut session) = (0, first);
    for life in 0.. {
        if *stop.borrow() {
            break;
        }
        let parcel = pushes.seal(&session)?;
        answered += u64::from(pushes.push(pushes.circuit(), &parcel).await.is_some());
        session = next(&session, life);
    }
    Ok(answered)
}

/// The next of one attacker's sessions: drawn from the one before.
fn next(session: &SessionKey, life: u64) -> SessionKey {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&session.public().as_bytes()[..8]);
    key(b'x', u64::from_be_bytes(bytes) ^ life)
}
