//! Honest sessions beside an attack. What became of their parcels is counted by sums in the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{sync::watch, time::sleep};
use undertone_wire::{
    Point,
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{Age, Parcel, ParcelId},
    session::SessionKey,
};

use super::{
    attackers::Attackers,
    parcels::{key, request},
};
use crate::proxy::Proxy;

/// Between two parcels of a session: many times as often as agents send, within what a circuit may ask.
const SLOT: Duration = Duration::from_millis(250);
/// A parcel that isn't taken is brought again in the next slots, so often at most.
const TRIES: u32 = 40;
/// What one parcel counts.
const WORTH: i64 = 1;

/// Sessions that the proxy knows already, each on a circuit of its own.
pub(crate) struct Honest {
    sessions: Vec<Arc<Session>>,
}

struct Session {
    key: SessionKey,
    circuit: u32,
    deployment: DeploymentId,
    /// Parcels that were sealed.
    sealed: AtomicU64,
}

impl Honest {
    /// Makes each known by a first parcel.
    pub(crate) async fn begin(
        number: u64,
        attackers: &Attackers,
        deployment: DeploymentId,
    ) -> Result<Self> {
        let mut sessions = Vec::new();
        for index in 0..number {
            let (key, circuit) = (key(b'h', index), attackers.circuit());
            let session = Session { key, circuit, deployment, sealed: AtomicU64::new(0) };
            ensure!(session.bring(attackers, 1).await?, "an honest session before any attack");
            sessions.push(Arc::new(session));
        }
        Ok(Self { sessions })
    }

    /// Each of them reports until `stop`; the parcels that were sealed and, of these, answered.
    pub(crate) async fn report(
        &self,
        attackers: &Arc<Attackers>,
        stop: watch::Receiver<bool>,
    ) -> Result<(u64, u64)> {
        let mut tasks = tokio::task::JoinSet::new();
        for session in &self.sessions {
            let (session, attackers, stop) =
                (Arc::clone(session), Arc::clone(attackers), stop.clone());
            tasks.spawn(async move {
                let (mut offered, mut taken) = (0, 0);
                while !*stop.borrow() {
                    offered += 1;
                    taken += u64::from(session.bring(&attackers, TRIES).await?);
                    sleep(SLOT).await;
                }
                anyhow::Ok((offered, taken))
            });
        }
        let (mut offered, mut taken) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            let (of, to) = done??;
            offered += of;
            taken += to;
        }
        Ok((offered, taken))
    }

    /// What the store has of all of them.
    pub(crate) fn stored(&self, proxy: &Proxy) -> Result<u64> {
        let ids: Vec<_> =
            self.sessions.iter().map(|session| format!("'{}'", session.key.id())).collect();
        let rows = proxy.sqlite3(&format!(
            "SELECT coalesce(sum(value), 0) FROM point WHERE field = 'delta' AND session IN ({})",
            ids.join(",")
        ))?;
        Ok(rows.first().and_then(|row| row.first()).map_or(Ok(0.0), |sum| sum.parse::<f64>())?
            as u64)
    }

    /// All that they have ever sealed.
    pub(crate) fn sealed(&self) -> u64 {
        self.sessions.iter().map(|session| session.sealed.load(Relaxed)).sum()
    }
}

impl Session {
    /// Seals a parcel and brings it until it is taken, as agents do.
    async fn bring(&self, attackers: &Attackers, tries: u32) -> Result<bool> {
        let number = self.sealed.fetch_add(1, Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id[8..].copy_from_slice(&self.key.public().as_bytes()[..8]);
        let point =
            Point::new("app.hits.count").field("count", number as i64).field("delta", WORTH).at(0);
        // In the schema's own coarseness.
        let point = match number {
            0..100 => point,
            _ => point.field("count", 100_i64),
        };
        let payload = Payload::encode(&[point])?;
        let parcel = Parcel::seal(&self.key, ParcelId(id), &self.deployment, &payload);
        let request = request(&parcel.body(Age(0)));
        for _ in 0..tries {
            let answer = attackers.say(self.circuit, &request).await;
            if answer.is_some_and(|answer| answer.starts_with(b"HTTP/1.1 204 ")) {
                return Ok(true);
            }
            sleep(SLOT).await;
        }
        Ok(false)
    }
}
