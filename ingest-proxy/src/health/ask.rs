//! Asks a running proxy how it is doing, for the command `health`: what a container's health check
//! runs where there is neither a shell nor curl.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::error::{Error, ErrorKind};

/// From the connection to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);
/// A page has a line a part.
const PAGE_LIMIT_BYTES: usize = 64 * 1024;

/// What `/health` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthAnswer {
    /// Tor is bootstrapped, and every sink takes points.
    pub well: bool,
    /// The page, a line a part.
    pub page: String,
}

/// Asks the proxy whose `/health` is at this address.
///
/// # Errors
/// [`ErrorKind::Health`] if nothing answers there within 5 s, or not as a proxy would.
pub async fn ask_health(address: SocketAddr) -> Result<HealthAnswer, Error> {
    let failed = || Error::new(ErrorKind::Health, format!("ask http://{address}/health"));
    match timeout(LIMIT, exchange(address)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed().because(error)),
        Err(_) => Err(failed().because(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn exchange(
    address: SocketAddr,
) -> Result<HealthAnswer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when `sender` is dropped.
    tokio::spawn(connection);
    let request = Request::get("/health").header(HOST, address.to_string());
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let well = response.status().is_success();
    let page = Limited::new(response.into_body(), PAGE_LIMIT_BYTES).collect().await?.to_bytes();
    Ok(HealthAnswer { well, page: String::from_utf8_lossy(&page).into_owned() })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn the_status_says_whether_all_is_well() {
        for (status, well) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 1024];
                let length = stream.read(&mut head).await.unwrap();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 8\r\n\r\ntor: ok\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&head[..length]).into_owned()
            });
            let answer = ask_health(address).await.unwrap();
            assert_eq!(answer, HealthAnswer { well, page: "tor: ok\n".to_owned() });
            let head = server.await.unwrap();
            assert!(head.starts_with("GET /health HTTP/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_it_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = ask_health(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Health);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
