//! The end of an agent, bounded in time whatever Tor is doing.

use std::{
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::agent::Running;

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
}

impl Shutdown {
    pub(crate) fn begin(running: Option<Running>, limit: Duration) -> Self {
        let (told, done) = mpsc::channel();
        let (told_async, done_async) = oneshot::channel();
        let end = Instant::now() + limit.min(LONGEST);
        if let Some(running) = running {
            // A thread, since neither may the caller be blocked nor can a runtime end itself. It
            // keeps its own time: the runtime's timers stand still while something blocks there.
            let ended = thread::Builder::new().name("undertone-stop".to_owned()).spawn(move || {
                let left = || end.saturating_duration_since(Instant::now());
                // Past the limit, what isn't drained is left.
                let _ = running.stop().recv_timeout(left());
                running.end(left());
                drop((told, told_async));
            });
            // Without a thread left, all of it went down with the closure, in the background.
            drop(ended);
        }
        Self { done, done_async }
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
