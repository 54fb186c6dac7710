//! Whether the ingest side can be reached, found out without telling it anything.
//!
//! A probe is a request as long as a push that holds no parcel. A proxy of ours answers it with its
//! constant 400 and stores nothing; no session, no point and no time is in it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::Rng;
use tokio::{runtime::Builder, time::timeout};
use undertone_wire::endpoint::{Endpoint, Ingest};

use crate::{
    clock::Clock,
    consent::{Answer, Consent, switched_off},
    error::{Error, ErrorKind},
    folder::Folder,
    pusher::{FailureKind, Outcome, push_nothing},
    transport::{Connect, Isolation, TorStatus, Transport},
};

/// What the runtime's tasks are given to end.
const END: Duration = Duration::from_secs(1);

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probed {
    /// For each onion address, in their order: what is wrong with it, if anything.
    pub failures: Vec<Option<FailureKind>>,
    /// How far Tor in this process came.
    pub tor: Option<TorStatus>,
}

/// Asks each onion address of `ingest` in turn whether an Undertone proxy is there, for at most
/// `limit` each, and tells what is wrong with it. The first one waits until Tor is ready.
///
/// Blocks, and must not be called inside a tokio runtime. Without consent, to whatever schema, it does
/// nothing (invariant P1).
///
/// # Errors
/// [`ErrorKind::Consent`] without consent, or where the environment switches everything off;
/// [`ErrorKind::Incomplete`] without a data folder for Tor; [`ErrorKind::TorConfiguration`];
/// [`ErrorKind::Resources`].
pub fn probe(
    consent: &Consent,
    ingest: &Ingest,
    transport: &Transport,
    data_dir: Option<PathBuf>,
    limit: Duration,
) -> Result<Probed, Error> {
    if switched_off().is_some() || !matches!(consent.answer(), Answer::Granted(_)) {
        return Err(Error::new(ErrorKind::Consent, "there is no consent to look for the proxy"));
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime
        .map_err(|error| Error::new(ErrorKind::Resources, "start a runtime").because(error))?;
    let transport =
        transport.open(runtime.handle(), data_dir.map(|dir| Arc::new(Folder::new(dir))))?;
    let failures = runtime.block_on(async {
        let mut failures = Vec::new();
        for endpoint in &ingest.endpoints {
            failures.push(probe_one(&*transport, endpoint, limit).await);
        }
        failures
    });
    let tor = transport.tor();
    drop(transport);
    runtime.shutdown_timeout(END);
    Ok(Probed { failures, tor })
}

async fn probe_one(
    transport: &dyn Connect,
    endpoint: &Endpoint,
    limit: Duration,
) -> Option<FailureKind> {
    let mut isolation = [0; 16];
    Clock::system().randomness().fill_bytes(&mut isolation);
    let probed = push_nothing(transport, endpoint, Isolation(isolation), limit);
    match timeout(limit, probed).await {
        Ok(Outcome::Malformed) => None,
        // Nothing that holds no parcel is ever taken by a proxy of ours.
        Ok(Outcome::Taken) => Some(FailureKind::Protocol),
        Ok(Outcome::Failed(kind) | Outcome::Hung(kind)) => Some(kind),
        Err(_) => Some(FailureKind::Endpoint),
    }
}
