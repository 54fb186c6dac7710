//! One push: one connection, one request, one status.
//!
//! The agent reads nothing of an answer but its status, and every failure means the same: the next
//! slot. What takes long ends at a limit, so that a hostile ingest side can't hold anything open. What
//! the ledger can't hold isn't sent (invariant P9).

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use undertone_wire::{
    endpoint::Endpoint,
    parcel::{Age, Parcel},
    request,
};

use crate::{
    ledger::{Book, Tap},
    route::Route,
    transport::{Connect, ConnectError, Isolation, Stream},
};

/// Bootstrapping, a descriptor and a circuit may take this long together; after pushes that took
/// longer, twice and four times as long, for networks where everything is slow.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// How often that limit is doubled.
const DOUBLINGS: u32 = 2;
/// Request and answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// The longest head of an answer that is read, in bytes; hyper's minimum.
const ANSWER_HEAD_LIMIT: usize = 8_192;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `204`: the parcel is the ingest side's now.
    Taken,
    /// `400`: the parcel will never be taken.
    Malformed,
    /// The parcel stays.
    Failed(FailureKind),
    /// The parcel stays, and nothing came back in time: what Tor waits for may never come.
    Hung(FailureKind),
}

/// Why nothing gets through at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Tor doesn't work: not bootstrapped yet, blocked, or the SOCKS port doesn't answer.
    Tor,
    /// Tor works; the ingest side's onion service can't be reached.
    Endpoint,
    /// Tor works; only those whom the ingest side knows may find its onion service, and no key is here by which it
    /// would know this agent.
    ClientKey,
    /// The ingest side is there and can't take parcels now.
    Unavailable,
    /// The ingest side is no Undertone proxy, or ends the connection.
    Protocol,
    /// The ingest side calls parcels malformed: another deployment or version.
    Refused,
    /// The data folder, or the ledger in it, can't be written.
    DataFolder,
}

/// Sends one parcel, with the age that it has once there is a stream; none if it is too old by then, or its
/// session is over: a machine may have slept meanwhile.
pub(crate) async fn push(
    transport: &dyn Connect,
    route: &Route,
    parcel: &Parcel,
    ledger: &Arc<Book>,
    age: impl Fn() -> Option<Age> + Send,
) -> Outcome {
    // Nobody is connected to for what can't be sent.
    if let Err(error) = ledger.ready().await {
        return unrecorded(&error);
    }
    let limit = CONNECT_LIMIT * 2_u32.pow(route.hung.min(DOUBLINGS));
    let stream = match connect(transport, &route.endpoint, route.isolation, limit).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    let Some(age) = age() else { return Outcome::Failed(FailureKind::Endpoint) };
    let (tap, told) = Tap::new(stream, Arc::clone(ledger));
    let body = Bytes::copy_from_slice(&parcel.body(age));
    let outcome = deliver(Box::new(tap), &route.endpoint, body).await;
    let (attempts, failure) = told.take();
    for attempt in attempts {
        ledger.outcome(attempt, outcome.into()).await;
    }
    failure.map_or(outcome, |error| unrecorded(&error))
}

/// Nothing was sent, for the ledger can't be written.
fn unrecorded(error: &io::Error) -> Outcome {
    tracing::warn!(%error, "the ledger can't be written, so nothing is sent");
    Outcome::Failed(FailureKind::DataFolder)
}

/// Sends a request of a push's length that holds no parcel, which a proxy answers as malformed.
pub(crate) async fn push_nothing(
    transport: &dyn Connect,
    endpoint: &Endpoint,
    isolation: Isolation,
    limit: Duration,
) -> Outcome {
    let body = Bytes::from_static(&[0; request::BODY_LENGTH]);
    match connect(transport, endpoint, isolation, limit).await {
        Ok(stream) => deliver(stream, endpoint, body).await,
        Err(outcome) => outcome,
    }
}

async fn connect(
    transport: &dyn Connect,
    endpoint: &Endpoint,
    isolation: Isolation,
    limit: Duration,
) -> Result<Box<dyn Stream>, Outcome> {
    match timeout(limit, transport.connect(endpoint, isolation)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Outcome::Failed(error.into())),
        Err(_) => Err(Outcome::Hung(FailureKind::Tor)),
    }
}

async fn deliver(stream: Box<dyn Stream>, endpoint: &Endpoint, body: Bytes) -> Outcome {
    let request = request::push(&endpoint.onion, Full::new(body));
    match timeout(ANSWER_LIMIT, exchange(stream, request)).await {
        Ok(Ok(StatusCode::NO_CONTENT)) => Outcome::Taken,
        Ok(Ok(StatusCode::BAD_REQUEST)) => Outcome::Malformed,
        Ok(Ok(status)) if status.is_server_error() => Outcome::Failed(FailureKind::Unavailable),
        Ok(Ok(_) | Err(_)) => Outcome::Failed(FailureKind::Protocol),
        Err(_) => Outcome::Hung(FailureKind::Unavailable),
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: hyper::Request<Full<Bytes>>,
) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_LIMIT)
        .writev(false)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut answer = pin!(async move {
        sender.ready().await?;
        Ok(sender.send_request(request).await?.status())
    });
    // The connection is driven beside the request and dropped with it: the stream ends here.
    tokio::select! {
        biased;
        status = &mut answer => status,
        // However the connection ended, an answer that came is there; else the sender says so.
        _ = connection => answer.await,
    }
}

impl From<ConnectError> for FailureKind {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Tor => Self::Tor,
            ConnectError::Endpoint => Self::Endpoint,
            ConnectError::ClientKey => Self::ClientKey,
            ConnectError::Folder => Self::DataFolder,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;
    use undertone_wire::{
        batch::Payload,
        endpoint::{DeploymentId, Ingest},
        parcel::ParcelId,
        session::SessionKey,
    };

    use super::*;
    use crate::{clock::Clock, ledger::Ledger, transport::Pending};

    /// An onion service whose introductions lead nowhere.
    #[derive(Default)]
    struct Hanging(AtomicU32);

    impl Connect for Hanging {
        fn connect<'a>(
            &'a self,
            _: &'a Endpoint,
            _: Isolation,
        ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }

        fn end(&self, _: Isolation) {}

        fn warm_up(&self) -> Pending<'_, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_that_hangs_ends_and_the_next_has_more_patience() {
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
        let ingest: Ingest = onion.parse().unwrap();
        let payload = Payload::encode(&[]).unwrap();
        let key = SessionKey::from_seed(&[1; 32]);
        let parcel = Parcel::seal(&key, ParcelId([1; 16]), &DeploymentId::from([2; 32]), &payload);
        let transport = Hanging::default();
        let ledger = Book::new(Ledger::Memory, None, Clock::system());
        for (hung, seconds) in [(0, 60), (1, 120), (2, 240), (1_000, 240)] {
            let begun = Instant::now();
            let mut route = Route::new(ingest.endpoints[0].clone(), Isolation([0; 16]));
            route.hung = hung;
            let outcome = push(&transport, &route, &parcel, &ledger, || Some(Age(0))).await;
            assert_eq!(outcome, Outcome::Hung(FailureKind::Tor));
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
        assert_eq!(transport.0.load(Ordering::Relaxed), 4);
        assert_eq!(ledger.read().unwrap().len(), 0, "nothing was handed to Tor");
    }
}
