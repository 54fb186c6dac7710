//! arti's runtime on a tokio handle, made of parts of our own.
//!
//! arti's `TokioRustlsRuntime` can't be built without its TLS provider, which is the part that must
//! be another (see [`crate::tls`]). A Tor client opens TCP connections, sleeps and spawns; it listens
//! nowhere and uses no UDP and no unix socket, so those answer "unsupported".

use std::{
    future::Future,
    io, net,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    AsyncRead, AsyncWrite, FutureExt, Stream,
    future::BoxFuture,
    task::{FutureObj, Spawn, SpawnError},
};
use tokio::{net::TcpStream, runtime::Handle};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tor_general_addr::unix;
use tor_rtcompat::{
    Blocking, CompoundRuntime, NetStreamListener, NetStreamProvider, RealCoarseTimeProvider,
    SleepProvider, StreamOps, TcpConnectOptions, TcpListenOptions, UdpProvider, UdpSocket,
    UnixConnectOptions, UnixListenOptions,
};

use crate::tls::RingTls;

/// The runtime that both sides give to arti.
pub type TorRuntime =
    CompoundRuntime<Tokio, Tokio, RealCoarseTimeProvider, Tokio, Tokio, RingTls, Tokio>;

/// arti's runtime on `handle`. What it spawns ends with that handle's runtime.
///
/// # Errors
/// Only if ring doesn't support the TLS versions that rustls was built with.
pub fn runtime(handle: Handle) -> Result<TorRuntime, rustls::Error> {
    let tokio = Tokio(handle);
    Ok(CompoundRuntime::new(
        tokio.clone(),
        tokio.clone(),
        RealCoarseTimeProvider::new(),
        tokio.clone(),
        tokio.clone(),
        RingTls::new()?,
        tokio,
    ))
}

/// Tasks, sleep and TCP on one tokio runtime.
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Spawn for Tokio {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        drop(self.0.spawn(future));
        Ok(())
    }
}

impl Blocking for Tokio {
    type ThreadHandle<T: Send + 'static> = BoxFuture<'static, T>;

    fn spawn_blocking<F, T>(&self, work: F) -> BoxFuture<'static, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let thread = self.0.spawn_blocking(work);
        async move {
            match thread.await {
                Ok(value) => value,
                // Work that panicked passes its panic on; work that was cancelled, because the
                // runtime is going away, never ends.
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => futures::future::pending().await,
                },
            }
        }
        .boxed()
    }

    fn reenter_block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl SleepProvider for Tokio {
    type SleepFuture = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(duration)
    }
}

/// A TCP connection with the traits of `futures`.
pub struct Connection(Compat<TcpStream>);

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

impl StreamOps for Connection {}

#[async_trait]
impl NetStreamProvider<net::SocketAddr> for Tokio {
    type Stream = Connection;
    type Listener = Nowhere;
    type ConnectOptions = TcpConnectOptions;
    type ListenOptions = TcpListenOptions;

    async fn connect(
        &self,
        address: &net::SocketAddr,
        _: &TcpConnectOptions,
    ) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(stream.compat()))
    }

    async fn listen(&self, _: &net::SocketAddr, _: &TcpListenOptions) -> io::Result<Nowhere> {
        Err(unsupported())
    }
}

#[async_trait]
impl NetStreamProvider<unix::SocketAddr> for Tokio {
    type Stream = Connection;
    type Listener = Nowhere;
    type ConnectOptions = UnixConnectOptions;
    type ListenOptions = UnixListenOptions;

    async fn connect(
        &self,
        _: &unix::SocketAddr,
        _: &UnixConnectOptions,
    ) -> io::Result<Connection> {
        Err(unsupported())
    }

    async fn listen(&self, _: &unix::SocketAddr, _: &UnixListenOptions) -> io::Result<Nowhere> {
        Err(unsupported())
    }
}

#[async_trait]
impl UdpProvider for Tokio {
    type UdpSocket = Nowhere;

    async fn bind(&self, _: &net::SocketAddr) -> io::Result<Nowhere> {
        Err(unsupported())
    }
}

/// A listener or a datagram socket of a client, which has none: there is no value of this type.
pub enum Nowhere {}

impl<Address: Send + Sync + 'static> NetStreamListener<Address> for Nowhere {
    type Stream = Connection;
    type Incoming = Pin<Box<dyn Stream<Item = io::Result<(Connection, Address)>> + Send + Sync>>;

    fn incoming(self) -> Self::Incoming {
        match self {}
    }

    fn local_addr(&self) -> io::Result<Address> {
        match *self {}
    }
}

#[async_trait]
impl UdpSocket for Nowhere {
    async fn recv(&self, _: &mut [u8]) -> io::Result<(usize, net::SocketAddr)> {
        match *self {}
    }

    async fn send(&self, _: &[u8], _: &net::SocketAddr) -> io::Result<usize> {
        match *self {}
    }

    fn local_addr(&self) -> io::Result<net::SocketAddr> {
        match *self {}
    }
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a Tor client neither listens nor uses unix sockets")
}
