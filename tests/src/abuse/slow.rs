//! Streams that stay: silent ones, and those that say a byte now and then.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{
    answers::{Answers, Expected},
    attackers::Attackers,
    parcels::request,
};

/// How an attacker spends its time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Says nothing.
    Idle,
    /// A byte of a head now and then.
    Head,
    /// A whole head, then a byte of a body now and then.
    Body,
}

/// Between two bytes.
const DRIP: Duration = Duration::from_millis(500);
/// Streams that a circuit may have open at once.
const STREAMS_A_CIRCUIT: u32 = 4;
/// What may be said to who was slow: nothing. Who comes when all places are taken may find no room.
const NOTHING_OR_REFUSED: Expected = Expected(&["none", "400", "503"]);

/// Keeps `streams` open, each again as soon as it is cut, until `stop`.
pub(crate) async fn hold(
    streams: u32,
    pace: Pace,
    attackers: &Arc<Attackers>,
    secrets: &Arc<Vec<String>>,
    stop: &watch::Receiver<bool>,
) -> Answers {
    let mut tasks = JoinSet::new();
    let mut circuit = 0;
    for number in 0..streams {
        if number.is_multiple_of(STREAMS_A_CIRCUIT) {
            circuit = attackers.circuit();
        }
        let (attackers, secrets, mut stop) =
            (Arc::clone(attackers), Arc::clone(secrets), stop.clone());
        tasks.spawn(async move {
            let mut answers = Answers::default();
            while !*stop.borrow() {
                let Some(stream) = attackers.stream(circuit).await else {
                    tokio::time::sleep(DRIP).await;
                    continue;
                };
                let answer = tokio::select! {
                    answer = one(stream, pace) => answer,
                    _ = stop.wait_for(|stop| *stop) => break,
                };
                answers.count("a slow stream", &answer, NOTHING_OR_REFUSED, &secrets);
                // A person's patience, not a busy loop's.
                tokio::time::sleep(DRIP / 5).await;
            }
            answers
        });
    }
    let mut all = Answers::default();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(answers) => all.add(answers),
            Err(error) => all.wrong(format!("an attacker failed: {error}")),
        }
    }
    all
}

async fn one(mut stream: UnixStream, pace: Pace) -> Vec<u8> {
    let push = request(&[1; 3_785]);
    let head = push.len() - 3_785;
    let mut rest = match pace {
        Pace::Idle => &[][..],
        Pace::Head => &push[..head - 2],
        Pace::Body => {
            let _ = stream.write_all(&push[..head]).await;
            &push[head..]
        }
    };
    let mut answer = Vec::new();
    let mut buffer = [0; 1_024];
    loop {
        match timeout(DRIP, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return answer,
            Ok(Ok(length)) => answer.extend_from_slice(&buffer[..length]),
            Err(_) => {
                if let Some((byte, more)) = rest.split_first() {
                    let _ = stream.write_all(&[*byte]).await;
                    rest = more;
                }
            }
        }
    }
}
