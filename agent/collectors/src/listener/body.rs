//! Bodies: received within a size and a time, decompressed within another size.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    header::{CONTENT_ENCODING, HeaderMap},
};
use tokio::time::timeout;

use super::config::Limits;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than the limits allow, before or after it is decompressed.
    TooLarge,
    /// It took longer than the limits allow.
    TooSlow,
    /// The client went away, or its chunks made no sense.
    Broken,
    /// It says that it is something else than plain or gzip.
    Encoding,
    /// It is no gzip, or only the beginning of one.
    Gzip,
}

/// How a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

/// The whole body, decompressed as its head says.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: &mut Incoming,
    limits: &Limits,
) -> Result<Vec<u8>, BodyError> {
    let encoding = Encoding::of(headers)?;
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    match timeout(limits.body, collect(encoding, body, limits)).await {
        Ok(collected) => collected,
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Takes what a client that is refused still sends, within the limits: one that is cut off while it
/// writes may never see the answer.
pub(super) async fn discard(mut body: Incoming, limits: &Limits) {
    let mut room = limits.body_bytes;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = room.checked_sub(length) else { break };
            room = rest;
        }
    };
    let _ = timeout(limits.body, all).await;
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        let mut named = headers.get_all(CONTENT_ENCODING).iter();
        let Some(name) = named.next() else { return Ok(Self::Plain) };
        let name = name.as_bytes().trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            _ if named.next().is_some() => Err(BodyError::Encoding),
            b"" | b"identity" => Ok(Self::Plain),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            _ => Err(BodyError::Encoding),
        }
    }
}

async fn collect(
    encoding: Encoding,
    body: &mut Incoming,
    limits: &Limits,
) -> Result<Vec<u8>, BodyError> {
    let mut received = 0_usize;
    let mut plain = match encoding {
        Encoding::Plain => {
            let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            Sink::Plain(Vec::with_capacity(expected.min(limits.body_bytes)))
        }
        Encoding::Gzip => Sink::Gzip(MultiGzDecoder::new(Bounded {
            bytes: Vec::new(),
            limit: limits.decompressed_bytes,
            is_over: false,
        })),
    };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        received += data.len();
        if received > limits.body_bytes {
            return Err(BodyError::TooLarge);
        }
        plain.write(&data)?;
    }
    plain.finish()
}

/// Where a body's bytes go.
enum Sink {
    Plain(Vec<u8>),
    Gzip(MultiGzDecoder<Bounded>),
}

impl Sink {
    fn write(&mut self, data: &[u8]) -> Result<(), BodyError> {
        match self {
            Self::Plain(bytes) => {
                bytes.extend_from_slice(data);
                Ok(())
            }
            Self::Gzip(decoder) => {
                let written = decoder.write_all(data);
                written.map_err(|_| gzip_error(decoder.get_ref()))
            }
        }
    }

    fn finish(self) -> Result<Vec<u8>, BodyError> {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(_) => Err(gzip_error(decoder.get_ref())),
            },
        }
    }
}

fn gzip_error(bounded: &Bounded) -> BodyError {
    if bounded.is_over { BodyError::TooLarge } else { BodyError::Gzip }
}

/// Takes no more than a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.limit {
            self.is_over = true;
            return Err(io::Error::other("larger than the limit"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
