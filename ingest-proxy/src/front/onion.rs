//! An onion service of arti: publishes the address and turns rendezvous circuits into byte streams.
//!
//! The identity key lives in arti's keystore (invariant S5): it is made at the first opening, stays
//! there over restarts, and only `identity` reads it, for a backup. The only module of the proxy that names
//! arti's types, with those below it.

mod identity;
mod service;

use std::{path::Path, sync::Arc, time::Duration};

use arti_client::{HasKind, TorClient, TorClientConfig};
use futures::StreamExt;
use safelog::DisplayRedacted;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tor_cell::relaycell::msg::Connected;
use tor_hsservice::{RendRequest, StreamRequest};
use tor_proto::stream::IncomingStreamRequest;
use undertone_storage::make_private_folder;
use undertone_wire::endpoint::{DEFAULT_PORT, OnionAddress};

pub(crate) use self::identity::Keystore;
use self::service::Service;
use super::{Answer, Circuit, GRACE, Progress};
use crate::{
    config::{Config, Limits, count},
    error::{Error, ErrorKind},
    writer::stopped,
};

/// Under this name arti keeps the service's keys; changing it would change the address.
const NICKNAME: &str = "undertone";
/// Below the user's configuration: an onion service is worth its guards' discovery (invariant S7).
const DEFAULTS: &str = "vanguards.mode = \"full\"\n";
/// Between two attempts to bootstrap, each of which tries for minutes.
const BOOTSTRAP_RETRY: Duration = Duration::from_secs(10);
/// Between two looks whether a client was added or removed.
const LOOK: Duration = Duration::from_secs(1);

/// An onion service that isn't published yet.
pub(crate) struct Onion {
    tor: TorClientConfig,
    service: Service,
    address: OnionAddress,
    limits: Arc<Limits>,
}

impl Onion {
    /// Reads the service's identity from `folder`, or makes it there. Touches no network.
    ///
    /// # Errors
    /// [`ErrorKind::Tor`] if arti's own configuration isn't one, or the keystore can't be used; [`ErrorKind::Clients`]
    /// if it can't be told who may find the service.
    pub(crate) fn open(folder: &Path, config: &Config) -> Result<Self, Error> {
        let failed = |doing: &str| Error::new(ErrorKind::Tor, doing);
        make_private_folder(folder)
            .map_err(|error| Error::new(ErrorKind::Storage, "open Tor's folder").because(error))?;
        let folder = folder.canonicalize().map_err(|e| failed("find Tor's folder").because(e))?;
        let tor = undertone_tor::configuration(
            &[DEFAULTS, &config.tor],
            &folder.join("state"),
            &folder.join("cache"),
        )
        .map_err(|error| failed("read `[tor]`").because(error))?;
        let service = Service::open(&config.discovery, &config.limits, &config.data_dir)?;
        let configuration = service.configuration()?;
        let keys =
            TorClient::<undertone_tor::TorRuntime>::create_onion_service(&tor, configuration)
                .map_err(|error| failed("open the keystore").because(error))?;
        let identity = match keys.onion_address() {
            Some(identity) => identity,
            None => keys
                .generate_identity_key(Default::default())
                .map_err(|error| failed("make the onion service's identity").because(error))?,
        };
        let address = identity.display_unredacted().to_string().parse().map_err(
            |error: undertone_wire::endpoint::EndpointError| {
                failed("read the onion address").because(error)
            },
        )?;
        Ok(Self { tor, service, address, limits: Arc::new(config.limits.clone()) })
    }

    /// The address, before and after it is published.
    pub(crate) fn address(&self) -> &OnionAddress {
        &self.address
    }

    /// Publishes the service and answers its streams until `stop` says so.
    pub(crate) async fn serve(
        self,
        answer: impl Answer,
        progress: watch::Sender<Progress>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let ending = stop.clone();
        let failed = |doing: &str| Error::new(ErrorKind::Tor, doing);
        let runtime = undertone_tor::runtime(tokio::runtime::Handle::current())
            .map_err(|error| failed("prepare TLS").because(error))?;
        let client = TorClient::with_runtime(runtime)
            .config(self.tor)
            .create_unbootstrapped_async()
            .await
            .map_err(|error| failed("start Tor").because(error))?;
        let mut clients = self.service;
        let launched = client
            .launch_onion_service(clients.configuration()?)
            .map_err(|error| failed("launch the onion service").because(error))?;
        let Some((service, requests)) = launched else {
            return Err(failed("launch the onion service: it is disabled"));
        };
        let mut bootstrap_events = client.bootstrap_events();
        let mut states = service.status_events();
        let mut requests = std::pin::pin!(requests);
        let mut online = std::pin::pin!(bootstrap_until_it_works(&client));
        let mut is_online = false;
        let mut circuits = JoinSet::new();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limits = self.limits;
        let places = Arc::new(Semaphore::new(count(limits.streams)));
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                () = &mut online, if !is_online => is_online = true,
                Some(status) = bootstrap_events.next() => {
                    let percent = (status.as_frac() * 100.0) as u8;
                    progress.send_modify(|progress| progress.bootstrap_percent = percent);
                }
                Some(status) = states.next() => {
                    let published = status.state().is_fully_reachable();
                    progress.send_modify(|progress| progress.published = published);
                }
                Some(_) = circuits.join_next() => {}
                _ = looks.tick() => clients.follow(&service),
                request = requests.next(), if circuits.len() < count(limits.circuits) => {
                    let Some(request) = request else {
                        return Err(failed("serve: the onion service ended"));
                    };
                    let places = Arc::clone(&places);
                    let (answer, limits) = (answer.clone(), Arc::clone(&limits));
                    circuits.spawn(serve_circuit(request, answer, limits, places, ending.clone()));
                }
            }
        }
        // Past the grace, streams are cut: agents keep what they got no answer for.
        let _ = timeout(GRACE, async { while circuits.join_next().await.is_some() {} }).await;
        circuits.shutdown().await;
        Ok(())
    }
}

/// A launched service waits for Tor; this is what gets Tor going, however long it is blocked.
async fn bootstrap_until_it_works(client: &TorClient<undertone_tor::TorRuntime>) {
    while let Err(error) = client.bootstrap().await {
        tracing::warn!(kind = ?error.kind(), "Tor did not bootstrap; trying again in {BOOTSTRAP_RETRY:?}");
        tokio::time::sleep(BOOTSTRAP_RETRY).await;
    }
}

/// Answers the streams of one rendezvous circuit, side by side, until its client or `stop` ends it.
async fn serve_circuit(
    request: RendRequest,
    answer: impl Answer,
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(mut requests) = request.accept().await else { return };
    let circuit = Arc::new(Circuit::default());
    let mut streams = JoinSet::new();
    loop {
        let request = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = streams.join_next() => continue,
            request = timeout(circuit.idle_limit(&limits), requests.next()) => request,
        };
        let Ok(Some(request)) = request else { break };
        if !wants_our_port(&request) || circuit.has_ended() {
            // A port scan, far more than it may ask for, or something else that no agent does.
            let _ = request.shutdown_circuit();
            return;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        if let Ok(stream) = request.accept(Connected::new_empty()).await {
            let answered = answer.clone().answer(stream, Arc::clone(&circuit));
            streams.spawn(async move {
                answered.await;
                drop(place);
            });
        }
    }
    streams.join_all().await;
}

fn wants_our_port(request: &StreamRequest) -> bool {
    matches!(request.request(), IncomingStreamRequest::Begin(begin) if begin.port() == DEFAULT_PORT)
}
