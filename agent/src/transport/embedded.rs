//! Tor in this process. The only module of the agent that names arti's types.
//!
//! Nothing touches the disk or the network before the first connection is wanted, and what fails is
//! tried again with the next one: a full disk or a blocked Tor is no error of the host's.

use std::{
    path::Path,
    sync::{Arc, MutexGuard, PoisonError},
};

use arti_client::{
    ErrorKind as TorErrorKind, HasKind, StreamPrefs, TorClient, config::BoolOrAuto,
    isolation::IsolationHelper, status::BlockageKind,
};
use tokio::{runtime::Handle, sync::Mutex};
use tor_proto::client::stream::{ClientDataStreamCtrl, ClientStreamCtrl};
use undertone_tor::TorRuntime;
use undertone_wire::endpoint::Endpoint;

use super::{Connect, ConnectError, Isolation, Pending, Stream, TorStatus, TorTrouble};
use crate::{
    client_keys,
    error::{Error, ErrorKind},
    folder::{Claimed, Folder},
};

/// What arti does of its own accord, tamed (decision 0020). What users configure wins over it.
///
/// `reduced` padding: by the specification a cell every 9 to 14 s to the guard and none back, instead of one every
/// 1.5 to 9.5 s each way. No circuits for exit ports that might be wanted: an agent never wants one.
const TAMED: &str = r#"
[channel]
padding = "reduced"
[preemptive_circuits]
initial_predicted_ports = []
disable_at_threshold = 0
"#;

pub(super) struct Embedded {
    runtime: TorRuntime,
    configuration: String,
    /// What is added to it.
    keys: String,
    folder: Arc<Folder>,
    running: Mutex<Option<Running>>,
    /// The last stream's handle, which leads to its circuit.
    last: std::sync::Mutex<Option<(Isolation, Arc<ClientDataStreamCtrl>)>>,
}

struct Running {
    client: Arc<TorClient<TorRuntime>>,
    /// Tor's folders are ours for as long as this lives.
    _folder: Arc<Claimed>,
}

impl Embedded {
    pub(super) fn open(
        configuration: &str,
        client_keys: Option<&Path>,
        runtime: &Handle,
        folder: Option<Arc<Folder>>,
    ) -> Result<Self, Error> {
        let folder = folder.ok_or_else(|| {
            Error::new(
                ErrorKind::Incomplete,
                "Tor in this process needs a data folder: data_dir(…)",
            )
        })?;
        let keys = client_keys.map_or(Ok(String::new()), key_folder)?;
        let invalid = || Error::new(ErrorKind::TorConfiguration, "Tor's configuration");
        // Only to find its mistakes now, where the host can be told.
        let texts = [TAMED, configuration, &keys];
        undertone_tor::configuration(&texts, folder.data_dir(), folder.data_dir())
            .map_err(|error| invalid().because(error))?;
        let runtime =
            undertone_tor::runtime(runtime.clone()).map_err(|error| invalid().because(error))?;
        let configuration = configuration.to_owned();
        let (running, last) = (Mutex::new(None), std::sync::Mutex::new(None));
        Ok(Self { runtime, configuration, keys, folder, running, last })
    }

    fn last(&self) -> MutexGuard<'_, Option<(Isolation, Arc<ClientDataStreamCtrl>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Tor client, started the first time.
    async fn client(&self) -> Result<Arc<TorClient<TorRuntime>>, ConnectError> {
        let mut running = self.running.lock().await;
        if let Some(running) = &*running {
            return Ok(Arc::clone(&running.client));
        }
        let folder = self.folder.claim().map_err(|error| {
            tracing::warn!(%error, "no data folder for Tor");
            ConnectError::Folder
        })?;
        let (state, cache) = (folder.path().join("state"), folder.path().join("cache"));
        let texts = [TAMED, &self.configuration, &self.keys];
        let configuration =
            undertone_tor::configuration(&texts, &state, &cache).map_err(|_| ConnectError::Tor)?;
        let client = TorClient::with_runtime(self.runtime.clone())
            .config(configuration)
            .create_unbootstrapped_async()
            .await
            .map_err(|error| ConnectError::from(error.kind()))?;
        *running = Some(Running { client: Arc::clone(&client), _folder: folder });
        Ok(client)
    }
}

/// Arti's configuration of a folder with keys, which it reads and never writes.
fn key_folder(folder: &Path) -> Result<String, Error> {
    let failed = || {
        let what = format!("the folder with client keys, {}", folder.display());
        Error::new(ErrorKind::ClientKeys, what)
    };
    client_keys::check(folder).map_err(|error| failed().because(error))?;
    let folder = folder.canonicalize().map_err(|error| failed().because(error))?;
    let path = folder.to_str().ok_or_else(|| failed().because("its name isn't UTF-8"))?;
    let path = undertone_tor::quoted(path);
    Ok(format!("[[storage.keystore.ctor.clients]]\nid = \"clients\"\npath = {path}\n"))
}

impl Connect for Embedded {
    fn connect<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        isolation: Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move {
            let client = self.client().await?;
            let mut preferences = StreamPrefs::new();
            preferences
                .connect_to_onion_services(BoolOrAuto::Explicit(true))
                .set_isolation(OfSession(isolation));
            let target = (endpoint.onion.as_str(), endpoint.port);
            match client.connect_with_prefs(target, &preferences).await {
                Ok(stream) => {
                    let control = stream.client_stream_ctrl().cloned();
                    *self.last() = control.map(|control| (isolation, control));
                    Ok(Box::new(stream) as Box<dyn Stream>)
                }
                Err(error) => {
                    tracing::debug!(kind = ?error.kind(), "no stream to the ingest side");
                    Err(ConnectError::from(error.kind()))
                }
            }
        })
    }

    fn end(&self, isolation: Isolation) {
        let last = self.last().take_if(|(of, _)| *of == isolation);
        if let Some(circuit) = last.and_then(|(_, control)| control.tunnel()) {
            circuit.terminate();
        }
    }

    fn tor(&self) -> Option<TorStatus> {
        // While the client is being made there is nothing to tell.
        let running = self.running.try_lock().ok()?;
        let status = running.as_ref()?.client.bootstrap_status();
        // A fraction from 0 to 1.
        let percent = (status.as_frac() * 100.0) as u8;
        let trouble = status.blocked().map(|blockage| match blockage.kind() {
            BlockageKind::Offline => TorTrouble::Offline,
            BlockageKind::Filtering => TorTrouble::Filtered,
            BlockageKind::CantReachTor => TorTrouble::Unreachable,
            BlockageKind::ClockSkewed => TorTrouble::Clock,
            BlockageKind::CantBootstrap => TorTrouble::Directory,
            _ => TorTrouble::Other,
        });
        Some(TorStatus { percent, trouble })
    }

    fn warm_up(&self) -> Pending<'_, ()> {
        Box::pin(async {
            if let Ok(client) = self.client().await {
                // What fails here fails again, and is told, when a connection is wanted.
                let _ = client.bootstrap().await;
            }
        })
    }
}

impl From<TorErrorKind> for ConnectError {
    fn from(kind: TorErrorKind) -> Self {
        match kind {
            TorErrorKind::PersistentStateAccessFailed
            | TorErrorKind::PersistentStateCorrupted
            | TorErrorKind::CacheAccessFailed
            | TorErrorKind::CacheCorrupted
            | TorErrorKind::FsPermissions
            | TorErrorKind::KeystoreAccessFailed => Self::Folder,
            TorErrorKind::OnionServiceMissingClientAuth
            | TorErrorKind::OnionServiceWrongClientAuth => Self::ClientKey,
            TorErrorKind::OnionServiceNotFound
            | TorErrorKind::OnionServiceNotRunning
            | TorErrorKind::OnionServiceConnectionFailed
            | TorErrorKind::OnionServiceProtocolViolation
            | TorErrorKind::OnionServiceAddressInvalid
            | TorErrorKind::RemoteConnectionRefused
            | TorErrorKind::RemoteNetworkTimeout
            | TorErrorKind::RemoteNetworkFailed => Self::Endpoint,
            _ => Self::Tor,
        }
    }
}

/// A session's isolation in arti's terms: compatible with itself alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfSession(Isolation);

impl IsolationHelper for OfSession {
    fn compatible_same_type(&self, other: &Self) -> bool {
        self == other
    }

    fn join_same_type(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// arti's configuration shows its values in no other way.
    fn shown(text: &str) -> String {
        let folder = Path::new("/data");
        format!("{:?}", undertone_tor::configuration(&[TAMED, text], folder, folder).unwrap())
    }

    #[test]
    fn p5_an_idle_tor_is_tamed() {
        let tamed = shown("");
        assert!(tamed.contains("padding: Reduced"), "padding is not reduced: {tamed}");
        assert!(
            tamed.contains("disable_at_threshold: 0"),
            "circuits are built in advance: {tamed}"
        );
        assert!(tamed.contains("initial_predicted_ports: []"), "ports are predicted: {tamed}");
    }

    #[test]
    fn what_users_configure_wins() {
        let theirs = "[channel]\npadding = \"normal\"\n[preemptive_circuits]\n\
                      initial_predicted_ports = [443]\ndisable_at_threshold = 3\n";
        let shown = shown(theirs);
        assert!(shown.contains("padding: Normal"), "{shown}");
        assert!(shown.contains("disable_at_threshold: 3"), "{shown}");
        assert!(shown.contains("initial_predicted_ports: [443]"), "{shown}");
    }
}
