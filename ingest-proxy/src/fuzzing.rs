//! Doors for what feeds parsers arbitrary bytes (`tests/fuzz`). Not part of the interface: this may change at any time.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use undertone_storage::StorageError;
use undertone_wire::{Point, endpoint::DeploymentId};

use crate::{
    admission::Admission,
    config::{Config, Limits},
    front::{self, Answer, Circuit},
    http::Http,
    queue::{Queue, QueueLimits},
    schemas::Schemas,
};

const SINK: &str = "fuzzing";

/// From a stream to the queue, as in a proxy.
#[derive(Debug)]
pub struct Ingest {
    admission: Arc<Admission>,
    queue: Queue,
}

impl Ingest {
    /// With a queue in `folder`.
    ///
    /// # Errors
    /// Those of the queue's file.
    pub async fn open(
        folder: &Path,
        schemas: Schemas,
        deployment: DeploymentId,
    ) -> Result<Self, StorageError> {
        let limits = QueueLimits { remember_ids: 1_000, ..QueueLimits::default() };
        let queue = Queue::open(folder, limits)?;
        queue.register_sinks(&[SINK]).await?;
        let admission =
            Admission::new(deployment, schemas.into(), queue.clone(), Arc::new(Limits::default()));
        Ok(Self { admission: Arc::new(admission), queue })
    }

    /// Serves one stream, on a circuit of its own.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let http = Http::new(Arc::clone(&self.admission), Arc::new(Limits::default()));
        http.answer(stream, Arc::new(Circuit::default())).await;
    }

    /// Takes what is stored.
    ///
    /// # Errors
    /// Those of the queue's file.
    pub async fn take(&self) -> Result<Vec<Point>, StorageError> {
        let batch = self.queue.read(SINK, 10_000).await?;
        if let Some(through) = batch.through {
            self.queue.advance(SINK, through, Vec::new()).await?;
        }
        Ok(batch.points)
    }
}

/// Reads the line that a tor in front writes before a stream.
pub async fn circuit_line(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<NonZeroU32> {
    front::circuit_line(stream).await.ok()
}

/// Reads a configuration, with paths relative to `/`.
///
/// # Errors
/// With line and key.
pub fn configuration(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/"))
}
