//! How the onion service is configured: its limits, and who may find it (invariants S2 and S6).

use std::path::{Path, PathBuf};

use arti_client::config::onion_service::OnionServiceConfigBuilder;
use data_encoding::BASE32_NOPAD;
use rand::Rng;
use tor_hsservice::{OnionServiceConfig, RunningOnionService, config::TokenBucketConfig};
use tor_keymgr::config::Reconfigure;

use super::NICKNAME;
use crate::{
    clients::Clients,
    config::{DiscoveryConfig, Limits},
    error::{Error, ErrorKind},
};

/// Takes the place of clients where there are none. Nobody has the secret half.
const NOBODY: &str = "nobody";

/// What the service is made of, and who its clients are now.
pub(super) struct Service {
    discovery: DiscoveryConfig,
    streams_per_circuit: u64,
    data_dir: PathBuf,
    clients: Option<Clients>,
    nobody: String,
    failed: bool,
}

impl Service {
    /// Reads the clients of a data folder.
    ///
    /// # Errors
    /// Those of [`Clients::load`]: who was not to be found must not be found by mistake.
    pub(super) fn open(
        discovery: &DiscoveryConfig,
        limits: &Limits,
        data_dir: &Path,
    ) -> Result<Self, Error> {
        let mut point = [0; 32];
        rand::rng().fill_bytes(&mut point);
        Ok(Self {
            discovery: discovery.clone(),
            streams_per_circuit: limits.streams_per_circuit,
            data_dir: data_dir.to_owned(),
            clients: allowed(discovery, data_dir)?,
            nobody: format!("descriptor:x25519:{}", BASE32_NOPAD.encode(&point)),
            failed: false,
        })
    }

    /// The configuration as it is now.
    pub(super) fn configuration(&self) -> Result<OnionServiceConfig, Error> {
        let failed = |doing: &str| Error::new(ErrorKind::Tor, doing);
        let mut service = OnionServiceConfigBuilder::default();
        let introductions = TokenBucketConfig::new(
            self.discovery.introductions_per_second,
            self.discovery.introductions_burst,
        );
        service
            .nickname(NICKNAME.parse().map_err(|_| failed("name the onion service"))?)
            .rate_limit_at_intro(Some(introductions))
            .max_concurrent_streams_per_circuit(
                u32::try_from(self.streams_per_circuit).unwrap_or(u32::MAX),
            );
        #[cfg(feature = "onion-pow")]
        service.enable_pow(self.discovery.pow);
        if let Some(clients) = &self.clients {
            let known = clients.iter().map(|(name, key)| (name, key.to_string()));
            let nobody = clients.is_empty().then(|| (NOBODY, self.nobody.clone()));
            service.restricted_discovery().enabled(true);
            for (name, key) in known.chain(nobody) {
                let wrong = || failed(&format!("authorize the client {name}"));
                let name = name.parse().map_err(|error| wrong().because(error))?;
                let key = key.parse().map_err(|error| wrong().because(error))?;
                service.restricted_discovery().static_keys().access().push((name, key));
            }
        }
        service.build().map_err(|error| failed("configure the onion service").because(error))
    }

    /// Tells a service that runs who its clients are now. What can't be read changes nothing.
    pub(super) fn follow(&mut self, running: &RunningOnionService) {
        let changed = allowed(&self.discovery, &self.data_dir).and_then(|now| {
            if now == self.clients {
                return Ok(false);
            }
            let before = std::mem::replace(&mut self.clients, now);
            let told = self.configuration().and_then(|configuration| {
                let told = running.reconfigure(configuration, Reconfigure::AllOrNothing);
                told.map_err(|error| Error::new(ErrorKind::Tor, "tell the service").because(error))
            });
            if told.is_err() {
                self.clients = before;
            }
            told.map(|()| true)
        });
        match changed {
            Ok(true) => match &self.clients {
                Some(clients) => {
                    tracing::info!("clients changed: {} may find the service", clients.len());
                }
                None => tracing::info!("clients changed: everybody may find the service"),
            },
            Ok(false) => {}
            // Told once, and tried again: it may pass.
            Err(ref error) if !self.failed => {
                let error = anyhow::Error::msg(error.to_string());
                tracing::error!("clients changed, and those before stay: {error:#}");
            }
            Err(_) => {}
        }
        self.failed = changed.is_err();
    }
}

/// Who may find the service; none if everybody may.
fn allowed(discovery: &DiscoveryConfig, data_dir: &Path) -> Result<Option<Clients>, Error> {
    match discovery.restricted {
        Some(false) => Ok(None),
        Some(true) => Ok(Some(Clients::load(data_dir)?.unwrap_or_default())),
        None => Clients::load(data_dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(discovery: &DiscoveryConfig, data_dir: &Path) -> String {
        let service = Service::open(discovery, &Limits::default(), data_dir).unwrap();
        // arti's configuration shows its values in no other way.
        format!("{:?}", service.configuration().unwrap())
    }

    #[test]
    fn s6_who_may_find_the_service_follows_from_the_folder_and_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let shown = |restricted| {
            let discovery = DiscoveryConfig { restricted, ..DiscoveryConfig::default() };
            let shown = service(&discovery, folder.path());
            (
                shown.contains("enabled: true, watch"),
                shown.contains("attic"),
                shown.contains(NOBODY),
            )
        };
        assert_eq!(shown(None), (false, false, false), "everybody");
        assert_eq!(shown(Some(true)), (true, false, true), "nobody yet");
        let key = "R5AMLLNWR4SWESXFWIKOU5T2N3EU3AU5HV5V4GWRXJXT4IJYFBPQ".parse().unwrap();
        Clients::add(folder.path(), "attic", key).unwrap();
        assert_eq!(shown(None), (true, true, false), "as soon as there is one");
        assert_eq!(shown(Some(true)), (true, true, false));
        assert_eq!(shown(Some(false)), (false, false, false), "as is said");
        Clients::remove(folder.path(), "attic", false).unwrap();
        assert_eq!(shown(None), (true, false, true), "nobody, not everybody");
        std::fs::write(folder.path().join("clients/broken.auth"), "x").unwrap();
        let opened = Service::open(&DiscoveryConfig::default(), &Limits::default(), folder.path());
        assert!(opened.is_err(), "what can't be read opens nothing");
    }

    #[test]
    fn s6_introduction_points_are_told_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let shown = service(&DiscoveryConfig::default(), folder.path());
        let limit = "rate_limit_at_intro: Some(TokenBucketConfig { rate: 25, burst: 200 })";
        assert!(shown.contains(limit), "introduction points are told no limit: {shown}");
    }
}
