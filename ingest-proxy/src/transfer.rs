//! Writes what the embedded store holds to another sink: for a database that comes later.
//!
//! Idempotent, as every sink is: what breaks off is begun again from the start. Reads one moment of the
//! store, also while a proxy writes to it, and in bounded memory.

use std::{mem, time::Duration};

use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};
use undertone_storage::StorageError;
use undertone_wire::Point;

use crate::{
    config::{Config, Target},
    error::{Error, ErrorKind},
    proxy::open_sink,
    route::Route,
    schemas::Schemas,
    sink::{
        Sink, SinkErrorKind,
        embedded::{Selection, each_point},
    },
};

/// How far a transfer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Points that were written.
    pub written: u64,
    /// Points that the sink refused for good.
    pub refused: u64,
}

/// Writes all points of the store to the sink of this name, as far as its namespaces allow; tells
/// `progress` after each write.
///
/// # Errors
/// If there is no such sink, it is the store itself, it takes nothing for about a minute, or the store can't
/// be read.
pub async fn transfer(
    config: &Config,
    name: &str,
    mut progress: impl FnMut(Transferred),
) -> Result<Transferred, Error> {
    let Some(chosen) = config.sinks.iter().find(|sink| sink.name == name) else {
        let others: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let what = format!("no sink is called {name:?}; there is {}", others.join(", "));
        return Err(Error::new(ErrorKind::Configuration, what));
    };
    if matches!(chosen.target, Target::Embedded(_)) {
        let what = format!("sink {name:?} is the store itself");
        return Err(Error::new(ErrorKind::Configuration, what));
    }
    let sink = open_sink(&config.data_dir, chosen)?;
    let route = Route::new(chosen.namespaces.clone(), Schemas::load(&config.data_dir)?.into());

    let (batches, mut waiting) = mpsc::channel(BATCHES_WAITING);
    let folder = config.data_dir.clone();
    let reader = spawn_blocking(move || {
        let mut batch = Vec::new();
        // Nobody listens any more: the writing has failed, and says why.
        let send = |batch| batches.blocking_send(batch).map_err(|_| StorageError::closed());
        each_point(&folder, &Selection::default(), &mut |point| {
            if route.takes(&point.measurement) {
                batch.push(point);
            }
            if batch.len() < BATCH_POINTS { Ok(()) } else { send(mem::take(&mut batch)) }
        })?;
        if batch.is_empty() { Ok(()) } else { send(batch) }
    });
    let mut transferred = Transferred::default();
    while let Some(batch) = waiting.recv().await {
        let refused = write(&*sink, &batch).await?;
        transferred.refused += refused;
        transferred.written += batch.len() as u64 - refused;
        progress(transferred);
    }
    let read = reader.await.map_err(|error| unread().because(error))?;
    read.map_err(|error| unread().because(error))?;
    Ok(transferred)
}

/// Returns how many points were refused for good.
async fn write(sink: &dyn Sink, batch: &[Point]) -> Result<u64, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(error) = sink.write(batch).await else { return Ok(0) };
        let asked = match error.kind() {
            SinkErrorKind::LinesRefused(refused) => return Ok(refused.len() as u64),
            SinkErrorKind::RetryAfter(asked) => asked.unwrap_or_default(),
            SinkErrorKind::TookTooLong => Duration::ZERO,
            SinkErrorKind::Fatal => LONGEST_PAUSE,
        };
        if pause.max(asked) >= LONGEST_PAUSE {
            let what = "the sink doesn't take points; what was written before stays, and it can be \
                        done again";
            return Err(Error::new(ErrorKind::Sink, what).because(error));
        }
        sleep(pause.max(asked)).await;
        pause *= 2;
    }
}

fn unread() -> Error {
    Error::new(ErrorKind::Storage, "read the store")
}

const BATCH_POINTS: usize = 5_000;
const BATCHES_WAITING: usize = 2;
/// Doubles with each further failure; the one that would be as long as the longest is the end.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sink::{RefusedPoint, SinkError, SinkFuture, embedded::Embedded};

    /// Fails as often as it is told to, with what it is told to.
    struct Failing(Mutex<Vec<SinkErrorKind>>);

    impl Sink for Failing {
        fn write<'a>(&'a self, _: &'a [Point]) -> SinkFuture<'a> {
            let failure = self.0.lock().unwrap().pop();
            let error = |kind| Err(SinkError::new(kind, "scripted"));
            Box::pin(async move { failure.map_or(Ok(()), error) })
        }
    }

    async fn write_to(failures: Vec<SinkErrorKind>) -> Result<u64, ErrorKind> {
        let sink = Failing(Mutex::new(failures));
        let points = [Point::new("m").field("n", 1.0).at(1)];
        write(&sink, &points).await.map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_what_does_not_is_told() {
        let retry =
            |seconds: Option<u64>| SinkErrorKind::RetryAfter(seconds.map(Duration::from_secs));
        assert_eq!(write_to(vec![]).await, Ok(0));
        assert_eq!(write_to(vec![retry(None), retry(Some(7)), retry(None)]).await, Ok(0));
        let refused = RefusedPoint { index: 0, reason: String::new() };
        let refused = SinkErrorKind::LinesRefused(vec![refused]);
        assert_eq!(write_to(vec![refused, retry(None)]).await, Ok(1));
        for failures in
            [vec![SinkErrorKind::Fatal], vec![retry(None); 20], vec![retry(Some(3_600))]]
        {
            assert_eq!(write_to(failures).await, Err(ErrorKind::Sink));
        }
    }

    #[tokio::test]
    async fn the_store_is_not_written_to_itself_nor_to_what_is_not_there() {
        let folder = tempfile::TempDir::new().unwrap();
        let config = Config::in_folder(folder.path());
        drop(Embedded::open(folder.path(), Default::default()).unwrap());
        for (name, why) in [("store", "itself"), ("nobody", "there is store")] {
            let error = transfer(&config, name, |_| {}).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
