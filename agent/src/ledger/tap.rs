//! The stream to the ingest side, through which nothing goes that the ledger doesn't hold.
//!
//! What is to be written is written down first, and then handed on from the very bytes that were
//! written down.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::book::{Attempt, Book};
use crate::transport::{Pending, Stream};

/// A stream whose writes are in the ledger.
pub(crate) struct Tap {
    stream: Box<dyn Stream>,
    book: Arc<Book>,
    told: Told,
    /// What is being written down, or was and isn't handed on yet.
    bytes: Arc<[u8]>,
    handed: usize,
    writing: Option<Pending<'static, io::Result<Attempt>>>,
}

/// What the ledger said of a stream's writes.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<(Vec<Attempt>, Option<io::Error>)>>);

impl Tap {
    pub(crate) fn new(stream: Box<dyn Stream>, book: Arc<Book>) -> (Self, Told) {
        let told = Told::default();
        let (bytes, tell) = (Arc::from([]), told.clone());
        (Self { stream, book, told: tell, bytes, handed: 0, writing: None }, told)
    }
}

impl Told {
    /// What was written down, and why more couldn't be.
    pub(crate) fn take(&self) -> (Vec<Attempt>, Option<io::Error>) {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Attempt>, Option<io::Error>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.writing.is_none() && this.handed == this.bytes.len() {
            (this.bytes, this.handed) = (bytes.into(), 0);
            let attempt = Arc::clone(&this.book).attempt(Arc::clone(&this.bytes));
            this.writing = Some(Box::pin(attempt));
        }
        if let Some(writing) = &mut this.writing {
            let written = ready!(writing.as_mut().poll(context));
            this.writing = None;
            match written {
                Ok(attempt) => this.told.lock().0.push(attempt),
                Err(error) => {
                    this.handed = this.bytes.len();
                    this.told.lock().1 = Some(error);
                    return Poll::Ready(Err(io::Error::other("the ledger can't be written")));
                }
            }
        }
        let rest = &this.bytes[this.handed..];
        // A writer that changed its mind meanwhile gets no other bytes through.
        if !bytes.starts_with(rest) && !rest.starts_with(bytes) {
            return Poll::Ready(Err(io::Error::other("not what the ledger holds")));
        }
        let count = rest.len().min(bytes.len());
        let handed = ready!(Pin::new(&mut this.stream).poll_write(context, &rest[..count]))?;
        this.handed += handed;
        Poll::Ready(Ok(handed))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}
