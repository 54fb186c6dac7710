//! Waiting for a condition with a deadline: the only place where the harness sleeps.
//!
//! Nothing here waits for a fixed time: the condition is asked again and again, and the deadline
//! only bounds how long a failure takes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer. An error of `ask` ends the wait at once; `what` is for the message
/// when `timeout` passes.
pub fn until<T>(
    what: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        // The order matters: what is slow to be scheduled is asked once more after the deadline.
        let late = start.elapsed() >= timeout;
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if late {
            bail!("waited {timeout:?} in vain for {what}");
        }
        sleep(PAUSE);
    }
}

/// The same within tokio.
pub async fn until_async<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let late = start.elapsed() >= timeout;
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if late {
            bail!("waited {timeout:?} in vain for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_deadlines() {
        let mut asked = 0;
        let third = until("the third", Duration::from_secs(5), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(third.unwrap(), 3);

        let never = until("pigs to fly", Duration::ZERO, || Ok(None::<()>));
        assert!(never.unwrap_err().to_string().contains("pigs to fly"));
    }
}
