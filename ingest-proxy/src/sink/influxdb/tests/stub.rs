//! A database that answers as it is told, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the stub saw of a request: its head and its body.
pub(super) type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Status, further headers, and text of the answer to a head and a body.
pub(super) type Respond = fn(&str, &str) -> (u16, &'static str, String);

/// A status that means: no answer, ever.
pub(super) const SILENT: u16 = 0;
/// A header that means: the answer's text comes a byte a second, and has no end.
pub(super) const TRICKLING: &str = "X-Stub: trickling\r\n";

/// Begins to serve; returns where, and what it sees.
pub(super) async fn start(respond: Respond) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, respond, Arc::clone(&shared)));
        }
    });
    (url, seen)
}

/// One connection, request after request; it ends when an answer says `Connection: close`.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    respond: Respond,
    seen: Seen,
) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            seen.lock().unwrap().push((head.to_owned(), body.to_owned()));
            let (status, headers, text) = respond(head, body);
            if status == SILENT {
                std::future::pending::<()>().await;
            }
            if headers == TRICKLING {
                let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 1000000\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                return;
            }
            let reply = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{headers}\r\n{text}",
                text.len()
            );
            let reply =
                if status == 204 { reply.replace("Content-Length: 0\r\n", "") } else { reply };
            stream.write_all(reply.as_bytes()).await.unwrap();
            if headers.contains("close") {
                return;
            }
            bytes.clear();
            continue;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
