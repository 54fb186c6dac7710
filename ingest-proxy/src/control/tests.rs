//! The same commands with a proxy that runs and without.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::{
    config::Config,
    queue::{Quarantined, QueueLimits},
};

async fn with_a_refused_line(config: &Config) -> Queue {
    let queue = Queue::open(&config.data_dir, QueueLimits::default()).unwrap();
    queue.register_sinks(&["store"]).await.unwrap();
    let (sink, reason, line) = ("store".to_owned(), "why".to_owned(), "m n=1i 7".to_owned());
    queue.advance("store", 0, vec![Quarantined { sink, reason, line }]).await.unwrap();
    queue
}

async fn lines(control: &Control<'_>) -> Vec<i64> {
    let lines = control.quarantine(Which::default(), 0).await.unwrap();
    lines.iter().map(|kept| kept.id).collect()
}

#[tokio::test]
async fn an_operator_reaches_the_queue_of_a_proxy_that_runs_and_of_one_that_does_not() {
    let folder = TempDir::new().unwrap();
    // Longer than a socket's path may be.
    let config = Config::in_folder(folder.path().join("x".repeat(120)));
    let queue = with_a_refused_line(&config).await;
    let stop = watch::Sender::new(false);
    let socket = ControlSocket::bind(&config.data_dir).unwrap();
    let mode = std::fs::metadata(config.data_dir.join(NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let serving = tokio::spawn(socket.serve(queue.clone(), stop.subscribe()));
    let control = Control::of(&config).await.unwrap();
    assert_eq!(lines(&control).await, [1]);
    let missing = Which { sink: Some("nobody".to_owned()), ..Which::default() };
    assert_eq!(control.put_back(missing).await.unwrap(), 0);
    assert_eq!(control.put_back(Which::default()).await.unwrap(), 1);
    assert_eq!(queue.read("store", 9).await.unwrap().points.len(), 1);
    control.close().await.unwrap();
    stop.send_replace(true);
    serving.await.unwrap();
    queue.close().await.unwrap();
    assert!(!config.data_dir.join(NAME).exists());

    let queue = with_a_refused_line(&config).await;
    // Left by a proxy that was killed.
    drop(ControlSocket::bind(&config.data_dir).unwrap());
    queue.close().await.unwrap();
    let control = Control::of(&config).await.unwrap();
    assert_eq!(lines(&control).await, [2]);
    assert_eq!(control.delete(Which::default()).await.unwrap(), 1);
    assert_eq!(lines(&control).await, Vec::<i64>::new());
    control.close().await.unwrap();
}
