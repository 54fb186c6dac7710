//! Accepting connections, for everything that listens here.

use std::{io, time::Duration};

/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The stream that was accepted; none, after a pause, where it could not be.
pub(crate) async fn or_pause<S, A>(accepted: io::Result<(S, A)>) -> Option<S> {
    match accepted {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // No file descriptor is left: it won't be better at once.
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}
