//! What comes to the agent: from programs beside it, and from its own files.

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
};
use undertone::{Answer, fuzzing};
use undertone_collectors::listener::{Full, Limits, Token, fuzzing::serve};
use undertone_wire::{Point, line_protocol};

use super::Source;

/// Every answer begins as one of HTTP, and nothing is taken that can't be written.
pub(crate) fn listener(bytes: &[u8]) {
    static RUNTIME: LazyLock<Option<Runtime>> =
        LazyLock::new(|| Builder::new_current_thread().enable_all().build().ok());
    let Some(runtime) = &*RUNTIME else { return };
    let mut source = Source(bytes);
    let mode = source.byte();
    let request = source.0.to_vec();
    let tcp = (mode % 4 == 3).then(|| {
        let address = SocketAddr::from(([127, 0, 0, 1], 8086));
        Token::new("0123456789abcdef0123456789abcdef").ok().map(|token| (address, token))
    });
    let pieces = if mode % 2 == 0 { request.len().max(1) } else { usize::from(mode / 4) + 1 };
    let limits = Limits {
        body_bytes: 64 * 1024,
        decompressed_bytes: 64 * 1024,
        drain: Duration::from_millis(100),
        ..Limits::default()
    };
    let accept = |points: Vec<Point>| {
        assert!(points.len() <= 256);
        let mut text = String::new();
        for point in &points {
            let written = line_protocol::write(point, &mut text);
            assert!(written.is_ok() && point.timestamp.is_some(), "{point:?}");
        }
        Ok::<(), Full>(())
    };
    runtime.block_on(async {
        let (client, server) = duplex(256 * 1024);
        let (mut answers, mut requests) = tokio::io::split(client);
        let talk = async {
            for piece in request.chunks(pieces) {
                if requests.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = requests.shutdown().await;
        };
        let listen = async {
            let mut answer = Vec::new();
            let _ = answers.read_to_end(&mut answer).await;
            answer
        };
        let ((), answer, ()) =
            tokio::join!(talk, listen, serve(server, tcp.flatten(), limits, accept));
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}");
    });
}

/// What a file holds is held by the file that is written of it.
pub(crate) fn ledger(bytes: &[u8]) {
    let (parcels, _) = fuzzing::ledger(bytes);
    let file = fuzzing::ledger_file(&parcels);
    assert_eq!(fuzzing::ledger(&file), (parcels, false));
}

/// Only the word granted is consent, and what was agreed to stays what it was.
pub(crate) fn consent(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let answer = fuzzing::consent(text);
    if matches!(answer, Answer::Granted(_)) {
        let word = text.lines().next().and_then(|line| line.split_whitespace().next());
        assert_eq!(word, Some("granted"));
    }
    let file = fuzzing::consent_file(&answer);
    assert_eq!(fuzzing::consent(&file), answer, "{file}");
}
