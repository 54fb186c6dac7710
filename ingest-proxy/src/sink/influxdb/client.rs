//! One kind of request to one server, over plain HTTP or TLS, on a connection that is kept.
//!
//! A request that fails on a kept connection is sent once more on a new one: servers close what is idle,
//! and to write twice changes nothing. Beyond that nothing is repeated here.

use std::{
    io,
    time::{Duration, SystemTime},
};

use futures_rustls::TlsConnector;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::{
    Answer, Authorization, Secret, Server, SinkError, answer::retry_after, late, tls, unreachable,
    wrong,
};

/// A client that posts lines to one path.
pub(in crate::sink) struct Client {
    server: Server,
    tls: Option<TlsConnector>,
    target: String,
    authorization: Authorization,
    /// What the last request left open.
    kept: Mutex<Option<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Client {
    /// A client; nothing is connected yet.
    pub(in crate::sink) fn new(
        server: Server,
        target: String,
        authorization: Authorization,
    ) -> Result<Self, SinkError> {
        let tls = match server.is_https() {
            true => Some(tls::connector(server.authorities())?),
            false => None,
        };
        Ok(Self { server, tls, target, authorization, kept: Mutex::default() })
    }

    pub(in crate::sink) async fn post(
        &self,
        secret: &Secret,
        body: Bytes,
    ) -> Result<Answer, SinkError> {
        let asked = timeout(REQUEST_LIMIT, self.ask(secret, body)).await;
        asked.unwrap_or_else(|_| Err(late()))
    }

    async fn ask(&self, secret: &Secret, body: Bytes) -> Result<Answer, SinkError> {
        // Taken out, so that one whose request is given up half way is never used again.
        let kept = self.kept.lock().await.take();
        if let Some(mut connection) = kept
            && connection.ready().await.is_ok()
            && let Ok(answer) = connection.send_request(self.request(secret, &body)?).await
        {
            return self.read(answer, connection).await;
        }
        let mut connection = self.connect().await?;
        let answer = connection.send_request(self.request(secret, &body)?).await;
        let answer = answer.map_err(|error| {
            unreachable("the database broke off the request").with_source(error)
        })?;
        self.read(answer, connection).await
    }

    fn request(&self, secret: &Secret, body: &Bytes) -> Result<Request<Full<Bytes>>, SinkError> {
        let mut request = Request::post(&self.target)
            .header(HOST, self.server.authority())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if let Some(authorization) = self.authorization.header(secret)? {
            request = request.header(AUTHORIZATION, authorization);
        }
        request
            .body(Full::new(body.clone()))
            .map_err(|error| wrong("the request can't be made").with_source(error))
    }

    async fn read(
        &self,
        answer: Response<Incoming>,
        connection: Connection,
    ) -> Result<Answer, SinkError> {
        let (head, body) = answer.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER)
            .and_then(|value| retry_after(value, header(DATE), SystemTime::now()));
        let text = match Limited::new(body, ANSWER_LIMIT).collect().await {
            Ok(body) => {
                *self.kept.lock().await = Some(connection);
                String::from_utf8_lossy(&body.to_bytes()).into_owned()
            }
            // Only what was refused is read from it, and that can be found without it.
            Err(_) => String::new(),
        };
        Ok(Answer { status: head.status.as_u16(), retry_after, text })
    }

    async fn connect(&self) -> Result<Connection, SinkError> {
        let connected = timeout(CONNECT_LIMIT, async {
            let stream = TcpStream::connect((self.server.host(), self.server.port()))
                .await
                .map_err(|error| unreachable("cannot reach the database").with_source(error))?;
            let _ = stream.set_nodelay(true);
            let Some(tls) = &self.tls else { return begin(TokioIo::new(stream)).await };
            let name = ServerName::try_from(self.server.host().to_owned())
                .map_err(|_| wrong("the URL's host can't stand in a certificate"))?;
            let stream = tls.connect(name, stream.compat()).await.map_err(tls::refusal)?;
            begin(TokioIo::new(stream.compat())).await
        });
        connected.await.unwrap_or_else(|_| {
            let late = io::Error::from(io::ErrorKind::TimedOut);
            Err(unreachable("cannot reach the database").with_source(late))
        })
    }
}

/// Begins HTTP. The task ends with the connection, which ends when its handle is dropped.
async fn begin<S: Read + Write + Unpin + Send + 'static>(
    stream: S,
) -> Result<Connection, SinkError> {
    let (connection, driver) = handshake(stream)
        .await
        .map_err(|error| unreachable("cannot begin HTTP with the database").with_source(error))?;
    tokio::spawn(async {
        // What goes wrong shows where a request is waited for.
        let _ = driver.await;
    });
    Ok(connection)
}

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Enough for the reasons why each of 5,000 lines was refused.
const ANSWER_LIMIT: usize = 4 << 20;
