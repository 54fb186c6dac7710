//! The end of an agent, bounded in time whatever Tor is doing.

use std::{
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    agent::{Running, Statistics},
    worker::Shared,
};

/// As good as no limit: a time that can be added to every other.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A shutdown that is under way. It goes on if this is dropped.
///
/// Wait for it with [`Shutdown::wait`], or `.await` it in any runtime.
#[must_use = "without waiting, a program that ends now cuts the shutdown short"]
#[derive(Debug)]
pub struct Shutdown {
    done: mpsc::Receiver<()>,
    done_async: oneshot::Receiver<()>,
    of: Option<Arc<Shared>>,
}

impl Shutdown {
    /// Of the agent that this shows.
    pub(crate) fn of(self, shared: &Arc<Shared>) -> Self {
        Self { of: Some(Arc::clone(shared)), ..self }
    }

    /// What the agent has done so far; once the shutdown is over, all of it. None in a child that was forked.
    pub fn statistics(&self) -> Option<Statistics> {
        Some(self.of.as_ref()?.seen().statistics)
    }

    /// In order: what is to be sent first is sent.
    pub(crate) fn begin(running: Option<Running>, limit: Duration) -> Self {
        let Some(running) = running else { return Self::done() };
        Self::within(limit, move |left| {
            // Past the limit, what isn't drained is left.
            let _ = running.stop().recv_timeout(left());
            running.end(left());
        })
    }

    /// Without anything more being sent; `afterwards` gets what is left of the time, and says whether it is
    /// done. Where nothing runs, it is tried at once: mostly no thread is needed for it. But a runtime that was
    /// dropped just before still ends in the background.
    pub(crate) fn at_once(
        running: Option<Running>,
        limit: Duration,
        afterwards: impl Fn(Duration) -> bool + Send + 'static,
    ) -> Self {
        let Some(running) = running else {
            if afterwards(Duration::ZERO) {
                return Self::done();
            }
            return Self::within(limit, move |left| _ = afterwards(left()));
        };
        Self::within(limit, move |left| {
            running.end(left() / 2);
            afterwards(left());
        })
    }

    fn within(limit: Duration, end: impl FnOnce(&dyn Fn() -> Duration) + Send + 'static) -> Self {
        let (told, done) = mpsc::channel();
        let (told_async, done_async) = oneshot::channel();
        let limit = Instant::now() + limit.min(LONGEST);
        // A thread, since neither may the caller be blocked nor can a runtime end itself. It
        // keeps its own time: the runtime's timers stand still while something blocks there.
        let ended = thread::Builder::new().name("undertone-stop".to_owned()).spawn(move || {
            end(&|| limit.saturating_duration_since(Instant::now()));
            drop((told, told_async));
        });
        // Without a thread left, all of it went down with the closure, in the background.
        drop(ended);
        Self { done, done_async, of: None }
    }

    /// One that is over.
    fn done() -> Self {
        let (_, done) = mpsc::channel();
        let (_, done_async) = oneshot::channel();
        Self { done, done_async, of: None }
    }

    /// Blocks until the agent has stopped; not longer than the limit that it was given.
    pub fn wait(self) {
        // Nothing is ever sent: the channel closes at the end.
        let _ = self.done.recv();
    }
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.done_async).poll(context).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Agent, Clock, Consent, Schema, State, Transport};

    use super::*;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    fn agent() -> Agent {
        let schema = Schema::from_toml(
            r#"
            namespace = "app"
            [[measurement]]
            name = "requests"
            kind = "counter"
            description = "Requests."
            "#,
        );
        // Under a clock that stands still nothing is ever sent.
        let (clock, _) = Clock::simulated(1);
        Agent::builder(ONION.parse().unwrap())
            .schema(schema.unwrap())
            .consent(Consent::callback(|| true))
            .transport(Transport::socks(([127, 0, 0, 1], 9).into()))
            .clock(clock)
            .start()
            .unwrap()
    }

    #[test]
    fn every_limit_will_do() {
        for limit in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            let agent = agent();
            assert_eq!(agent.state(), State::Silent);
            agent.shutdown(limit).wait();
        }
    }

    #[test]
    fn inside_a_runtime_an_agent_may_be_awaited_dropped_or_fail_to_start() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            agent().shutdown(Duration::from_secs(5)).await;
            drop(agent().shutdown(Duration::ZERO));
            drop(agent());
            // What a shutdown that gets no thread does, and a start whose transport is refused.
            drop(agent().running.take());
        });
    }
}
