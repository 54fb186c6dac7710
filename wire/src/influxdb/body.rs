//! Bodies: taken within a size, decompressed within another, piece by piece as they come.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header::CONTENT_ENCODING};

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes as they are received.
    pub received: usize,
    /// Bytes of one that came compressed.
    pub decompressed: usize,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is larger than the limits allow, before or after it is decompressed.
    TooLarge,
    /// It took longer than the limits allow; whoever receives it says so.
    TooSlow,
    /// The client went away, or its chunks made no sense; whoever receives it says so.
    Broken,
    /// It says that it is something else than plain or gzip.
    Encoding,
    /// It is no gzip, or only the beginning of one.
    Gzip,
}

/// A body that is being received.
pub struct Body {
    received: usize,
    limit: usize,
    plain: Plain,
}

/// Where a body's bytes go.
enum Plain {
    As(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Body {
    /// One that nothing has come of, and that says in its head how long it is at least.
    ///
    /// # Errors
    /// [`BodyError::Encoding`], [`BodyError::TooLarge`]
    pub fn new(headers: &HeaderMap, at_least: u64, limits: BodyLimits) -> Result<Self, BodyError> {
        let is_gzip = is_gzip(headers)?;
        let expected = usize::try_from(at_least).unwrap_or(usize::MAX);
        if expected > limits.received {
            return Err(BodyError::TooLarge);
        }
        let plain = if is_gzip {
            Plain::Gzip(Box::new(MultiGzDecoder::new(Bounded {
                bytes: Vec::new(),
                limit: limits.decompressed,
                is_over: false,
            })))
        } else {
            Plain::As(Vec::new())
        };
        Ok(Self { received: 0, limit: limits.received, plain })
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`], [`BodyError::Gzip`]; the body is to be dropped then.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        self.received += piece.len();
        if self.received > self.limit {
            return Err(BodyError::TooLarge);
        }
        match &mut self.plain {
            Plain::As(bytes) => bytes.extend_from_slice(piece),
            Plain::Gzip(decoder) => {
                let written = decoder.write_all(piece);
                written.map_err(|_| gzip_error(decoder.get_ref()))?;
            }
        }
        Ok(())
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        match &self.plain {
            Plain::As(bytes) => bytes.len(),
            Plain::Gzip(decoder) => decoder.get_ref().bytes.len(),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`], [`BodyError::Gzip`]
    pub fn finish(self) -> Result<Vec<u8>, BodyError> {
        match self.plain {
            Plain::As(bytes) => Ok(bytes),
            Plain::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(_) => Err(gzip_error(decoder.get_ref())),
            },
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, BodyError> {
    let mut named = headers.get_all(CONTENT_ENCODING).iter();
    let Some(name) = named.next() else { return Ok(false) };
    let name = name.as_bytes().trim_ascii().to_ascii_lowercase();
    match name.as_slice() {
        _ if named.next().is_some() => Err(BodyError::Encoding),
        b"" | b"identity" => Ok(false),
        b"gzip" | b"x-gzip" => Ok(true),
        _ => Err(BodyError::Encoding),
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

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { received: 1_000, decompressed: 2_000 };

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn receive(encodings: &[&str], bytes: &[u8]) -> Result<Vec<u8>, BodyError> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        let mut body = Body::new(&headers, 0, LIMITS)?;
        for piece in bytes.chunks(7) {
            body.write(piece)?;
            assert!(body.held() <= LIMITS.decompressed);
        }
        body.finish()
    }

    #[test]
    fn s2_a_body_is_held_within_its_limits_whatever_it_says_that_it_is() {
        let text = |length| vec![b'a'; length];
        let bomb = gzip(&text(1_000_000));
        // Deflate makes about a thousandth of it.
        let small = &bomb[..bomb.len().min(900)];
        let concatenated = [gzip(b"one"), gzip(b"two")].concat();
        let nested = gzip(&gzip(b"text"));
        for (what, encodings, bytes, expected) in [
            ("plain", &[][..], &b"text"[..], Ok(b"text".to_vec())),
            ("plain by name", &["identity"], b"text", Ok(b"text".to_vec())),
            ("nothing", &[], b"", Ok(Vec::new())),
            ("at the limit", &[], &text(1_000), Ok(text(1_000))),
            ("over the limit", &[], &text(1_001), Err(BodyError::TooLarge)),
            ("gzip", &["gzip"], &gzip(b"text"), Ok(b"text".to_vec())),
            ("gzip in capitals", &[" GZIP "], &gzip(b"text"), Ok(b"text".to_vec())),
            ("two members", &["x-gzip"], &concatenated, Ok(b"onetwo".to_vec())),
            ("gzip at the limit", &["gzip"], &gzip(&text(2_000)), Ok(text(2_000))),
            ("gzip over the limit", &["gzip"], &gzip(&text(2_001)), Err(BodyError::TooLarge)),
            ("a bomb", &["gzip"], small, Err(BodyError::TooLarge)),
            ("gzip in gzip is one layer", &["gzip"], &nested, Ok(gzip(b"text"))),
            ("no gzip", &["gzip"], b"text", Err(BodyError::Gzip)),
            ("half a gzip", &["gzip"], &gzip(b"text")[..12], Err(BodyError::Gzip)),
            ("another", &["deflate"], b"text", Err(BodyError::Encoding)),
            ("two names", &["gzip", "gzip"], b"text", Err(BodyError::Encoding)),
            ("two in one", &["gzip, gzip"], b"text", Err(BodyError::Encoding)),
        ] {
            assert_eq!(receive(encodings, bytes), expected, "{what}");
        }
        let announced = Body::new(&HeaderMap::new(), 1_001, LIMITS).map(|_| ());
        assert_eq!(announced, Err(BodyError::TooLarge));
    }
}
