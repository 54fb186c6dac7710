//! An ingest side in this process that records what reaches it, and does what a test wants of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use undertone_wire::{endpoint::Endpoint, request::REQUEST_LENGTH};

use crate::{
    clock::{Clock, Moment},
    transport::{Connect, ConnectError, Isolation, Pending, Stream},
};

/// What becomes of those who come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Behaviour {
    /// `204`.
    Answer,
    /// `503`.
    Unavailable,
    /// The whole request is taken, and nothing is answered.
    Withhold,
    /// The whole request is taken, and the stream is closed.
    CloseUnanswered,
    /// There is no way to it.
    Refuse,
    /// The way to it never ends.
    HangConnecting,
    /// The way to it takes so long; then `204`.
    SlowlyConnect(Duration),
}

/// What came on one stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrival {
    pub(super) at: Moment,
    pub(super) onion: String,
    pub(super) isolation: Isolation,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct Watched(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    behaviour: Behaviour,
    /// Where it is another one.
    at: BTreeMap<String, Behaviour>,
    arrivals: Vec<Arrival>,
    ended: Vec<(Moment, Isolation)>,
    /// Since when somebody is on the way.
    connecting: Option<tokio::time::Instant>,
    streams: usize,
}

impl Watched {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State {
            behaviour: Behaviour::Answer,
            at: BTreeMap::new(),
            arrivals: Vec::new(),
            ended: Vec::new(),
            connecting: None,
            streams: 0,
        };
        Self(Arc::new(Inner { clock, state: Mutex::new(state) }))
    }

    pub(super) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.0.lock().behaviour = behaviour;
    }

    /// At this address alone.
    pub(super) fn behave_at(&self, onion: &str, behaviour: Behaviour) {
        self.0.lock().at.insert(onion.to_owned(), behaviour);
    }

    /// Whole requests and what was begun of one, in their order.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.0.lock().arrivals.clone()
    }

    /// Which circuits were ended, and when.
    pub(super) fn ended(&self) -> Vec<(Moment, Isolation)> {
        self.0.lock().ended.clone()
    }

    /// For how long somebody has been on the way, in the time of timers.
    pub(super) fn connecting_for(&self) -> Option<Duration> {
        self.0.lock().connecting.map(|since| since.elapsed())
    }

    /// How many streams were opened.
    pub(super) fn streams(&self) -> usize {
        self.0.lock().streams
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connect for Watched {
    fn connect<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        isolation: Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move {
            let behaviour = {
                let state = self.0.lock();
                state.at.get(endpoint.onion.as_str()).copied().unwrap_or(state.behaviour)
            };
            match behaviour {
                Behaviour::Refuse => return Err(ConnectError::Endpoint),
                Behaviour::HangConnecting => std::future::pending().await,
                Behaviour::SlowlyConnect(duration) => {
                    self.0.lock().connecting = Some(tokio::time::Instant::now());
                    tokio::time::sleep(duration).await;
                    self.0.lock().connecting = None;
                }
                _ => {}
            }
            self.0.lock().streams += 1;
            let (ours, theirs) = duplex(2 * REQUEST_LENGTH);
            let onion = endpoint.onion.as_str().to_owned();
            tokio::spawn(serve(Arc::clone(&self.0), onion, isolation, theirs, behaviour));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }

    fn end(&self, isolation: Isolation) {
        let now = self.now();
        self.0.lock().ended.push((now, isolation));
    }

    fn warm_up(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

async fn serve(
    inner: Arc<Inner>,
    onion: String,
    isolation: Isolation,
    mut stream: DuplexStream,
    behaviour: Behaviour,
) {
    let mut bytes = vec![0; REQUEST_LENGTH];
    let mut length = 0;
    while length < bytes.len() {
        match stream.read(&mut bytes[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    bytes.truncate(length);
    if length > 0 {
        let at = inner.clock.now();
        inner.lock().arrivals.push(Arrival { at, onion, isolation, bytes });
    }
    let answer: &[u8] = match behaviour {
        Behaviour::Unavailable => b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        Behaviour::Withhold => std::future::pending().await,
        Behaviour::CloseUnanswered => return,
        _ => b"HTTP/1.1 204 No Content\r\n\r\n",
    };
    // Whoever came may have gone.
    let _ = stream.write_all(answer).await;
}
