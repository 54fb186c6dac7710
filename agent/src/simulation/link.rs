//! What stands in Tor's place: a stream that answers a request as soon as all of it has come.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use undertone_wire::{endpoint::Endpoint, request::REQUEST_LENGTH};

use super::{World, lock};
use crate::{
    clock::Clock,
    transport::{Connect, ConnectError, Isolation, Pending, Stream},
};

/// The proxy's answer to whatever is well formed.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Connects to the world.
pub(super) struct Link<W> {
    clock: Clock,
    world: Arc<Mutex<Option<W>>>,
}

impl<W: World> Link<W> {
    pub(super) fn new(clock: Clock, world: Arc<Mutex<Option<W>>>) -> Self {
        Self { clock, world }
    }
}

impl<W: World> Connect for Link<W> {
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
        Isolation(circuit): Isolation,
    ) -> Pending<'a, Result<Box<dyn Stream>, ConnectError>> {
        let reachable =
            lock(&self.world).as_mut().is_some_and(|world| world.reachable(self.clock.now()));
        Box::pin(std::future::ready(if reachable {
            let (clock, world) = (self.clock.clone(), Arc::clone(&self.world));
            let circuit = u128::from_be_bytes(circuit);
            let (request, reader) = (Vec::with_capacity(REQUEST_LENGTH), None);
            Ok(Box::new(Conversation { clock, world, circuit, request, answered: 0, reader }) as _)
        } else {
            Err(ConnectError::Endpoint)
        }))
    }

    fn end(&self, _: Isolation) {}

    fn warm_up(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// One request and its answer.
struct Conversation<W> {
    clock: Clock,
    world: Arc<Mutex<Option<W>>>,
    circuit: u128,
    request: Vec<u8>,
    /// How much of the answer was read.
    answered: usize,
    reader: Option<Waker>,
}

impl<W: World> AsyncWrite for Conversation<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.request.extend_from_slice(bytes);
        if self.request.len() == REQUEST_LENGTH {
            if let Some(world) = lock(&self.world).as_mut() {
                world.take(self.clock.now(), self.circuit, &self.request);
            }
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<W: World> AsyncRead for Conversation<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.request.len() < REQUEST_LENGTH {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let rest = &ANSWER[self.answered..];
        let read = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..read]);
        self.answered += read;
        Poll::Ready(Ok(()))
    }
}

impl<W> Unpin for Conversation<W> {}
