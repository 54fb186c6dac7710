//! A batch: points cut together, as they stand inside a parcel.
//!
//! One byte that names the encoding, then a zstd frame of line protocol whose timestamps are
//! whole intervals before sealing. No wall clock is in it (invariant P6), unless the schema is open:
//! then they are nanoseconds since 1970. An empty batch is chaff.

use crate::{FieldValue, Point, line_protocol, parcel::PAYLOAD_CAPACITY};

/// The encoding byte: zstd (RFC 8878) of line protocol.
const ZSTD_LINE_PROTOCOL: u8 = 1;
/// Above it zstd gains little on batches of this size and costs much.
const LEVEL: i32 = 3;
/// How every zstd frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bits of a frame's descriptor that follow from options, not from the text's length.
const OPTIONS: u8 = 0b0011_1111;
/// The options of every frame here: one segment, which says its length; no dictionary, no checksum.
const ONE_SEGMENT: u8 = 0b0010_0000;
/// The longest text a batch may decompress to, in bytes.
const DECODED_LIMIT: usize = 64 * 1024;
/// The most points a batch may have.
const POINT_LIMIT: usize = 1_024;

/// An encoded batch; never longer than [`PAYLOAD_CAPACITY`]. The default one has no bytes, which nobody
/// takes for a batch.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(Vec<u8>);

/// Why points can't be made a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// They don't fit in a parcel.
    #[error("the points don't fit in a parcel of {PAYLOAD_CAPACITY} bytes")]
    TooLong,
    /// A point that line protocol can't express.
    #[error("a point can't be written as line protocol: {0}")]
    Unwritable(#[from] line_protocol::WriteError),
    /// The compressor failed, which only a lack of memory explains.
    #[error("compression failed")]
    Compression,
}

/// Why a payload can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first byte names no known encoding.
    #[error("unknown encoding")]
    Encoding,
    /// Not one zstd frame of one segment, or one of more than 64 KiB.
    #[error("not one zstd frame of at most {DECODED_LIMIT} bytes")]
    Compression,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Text,
    /// Not line protocol.
    #[error("not line protocol: {0}")]
    Line(#[from] line_protocol::LineError),
    /// More points than a batch may have.
    #[error("more than {POINT_LIMIT} points")]
    Points,
    /// A point without a timestamp, or with a negative one.
    #[error("a point has no timestamp, or a negative one")]
    Timestamp,
    /// A field that is text, which no schema can declare.
    #[error("a field is text")]
    StringField,
}

impl Payload {
    /// Encodes `points`, each with a timestamp that isn't negative. No points: chaff.
    ///
    /// # Errors
    /// [`EncodeError`]; the points are as they were.
    pub fn encode(points: &[Point]) -> Result<Self, EncodeError> {
        let mut text = String::new();
        for point in points {
            line_protocol::write(point, &mut text)?;
        }
        if text.len() > DECODED_LIMIT || points.len() > POINT_LIMIT {
            return Err(EncodeError::TooLong);
        }
        let frame =
            zstd::bulk::compress(text.as_bytes(), LEVEL).map_err(|_| EncodeError::Compression)?;
        if 1 + frame.len() > PAYLOAD_CAPACITY {
            return Err(EncodeError::TooLong);
        }
        Ok(Self([&[ZSTD_LINE_PROTOCOL], &frame[..]].concat()))
    }

    /// Takes the payload out of a parcel, where it can't be longer than the capacity.
    pub(crate) fn received(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes that are sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes its frame says that it decompresses to; none if it doesn't say.
    ///
    /// Only a frame that says so is decoded, and no further than that.
    pub fn decoded_length(&self) -> Option<u64> {
        let frame = self.0.get(1..)?;
        zstd::zstd_safe::get_frame_content_size(frame).ok()?
    }

    /// The points, each with its timestamp.
    ///
    /// # Errors
    /// [`DecodeError`]; one bad line spoils the batch, for no agent of ours writes one.
    pub fn decode(&self) -> Result<Vec<Point>, DecodeError> {
        let Some((&ZSTD_LINE_PROTOCOL, frame)) = self.0.split_first() else {
            return Err(DecodeError::Encoding);
        };
        let text = decompress(frame).ok_or(DecodeError::Compression)?;
        let text = std::str::from_utf8(&text).map_err(|_| DecodeError::Text)?;
        let mut points = Vec::new();
        for line in line_protocol::parse(text) {
            let point = Point::from(line?);
            if points.len() == POINT_LIMIT {
                return Err(DecodeError::Points);
            }
            if point.timestamp.is_none_or(|intervals| intervals < 0) {
                return Err(DecodeError::Timestamp);
            }
            if point.fields.values().any(|value| matches!(value, FieldValue::String(_))) {
                return Err(DecodeError::StringField);
            }
            points.push(point);
        }
        Ok(points)
    }
}

/// The text of exactly one frame. The decoder alone would also take none, several, frames that are
/// to be skipped and what any of them carries, so that one text had many payloads.
fn decompress(frame: &[u8]) -> Option<Vec<u8>> {
    let descriptor = frame.strip_prefix(&MAGIC)?.first()?;
    let length = zstd::zstd_safe::find_frame_compressed_size(frame).ok()?;
    if descriptor & OPTIONS != ONE_SEGMENT || length != frame.len() {
        return None;
    }
    zstd::bulk::decompress(frame, DECODED_LIMIT).ok()
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: &str, intervals: i64) -> Point {
        Point::new(name).field("count", 7_i64).field("delta", 1_i64).at(intervals)
    }

    fn payload_of(text: &[u8]) -> Payload {
        Payload([&[ZSTD_LINE_PROTOCOL], &zstd::bulk::compress(text, LEVEL).unwrap()[..]].concat())
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let points = vec![counter("a.count", 2), counter("a.count", 1), counter("b.count", 0)];
        assert_eq!(Payload::encode(&points).unwrap().decode().unwrap(), points);
        assert_eq!(Payload::encode(&[]).unwrap().decode().unwrap(), vec![]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        // Names that don't compress: a different hash in each.
        let points: Vec<Point> = (0..500_u64)
            .map(|n| counter(&format!("m{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), 0))
            .collect();
        assert_eq!(Payload::encode(&points), Err(EncodeError::TooLong));
        assert!(Payload::encode(&points[..50]).is_ok());
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = payload_of(&vec![b'\n'; DECODED_LIMIT + 1]);
        assert_eq!(bomb.decode(), Err(DecodeError::Compression));
    }

    #[test]
    fn a_payload_is_exactly_one_frame() {
        let frame = zstd::bulk::compress(b"m f=1i 0\n", LEVEL).unwrap();
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
        let mut checksum = zstd::bulk::Compressor::new(LEVEL).unwrap();
        checksum.include_checksum(true).unwrap();
        let checksum = checksum.compress(b"m f=1i 0\n").unwrap();
        let mut streamed = zstd::bulk::Compressor::new(LEVEL).unwrap();
        streamed.include_contentsize(false).unwrap();
        let streamed = streamed.compress(b"m f=1i 0\n").unwrap();
        for (name, bytes) in [
            ("no frame", vec![]),
            ("two frames", [&frame[..], &frame].concat()),
            ("something behind it", [&frame[..], &[0]].concat()),
            ("a skippable frame", skippable.to_vec()),
            ("a skippable frame before it", [&skippable[..], &frame].concat()),
            ("a skippable frame behind it", [&frame[..], &skippable].concat()),
            ("a checksum", checksum),
            ("an unknown length", streamed),
            ("a part of one", frame[..frame.len() - 1].to_vec()),
        ] {
            let payload = Payload([&[ZSTD_LINE_PROTOCOL], &bytes[..]].concat());
            assert_eq!(payload.decode(), Err(DecodeError::Compression), "{name}");
        }
    }

    #[test]
    fn bad_payloads_are_refused_each_for_its_reason() {
        assert_eq!(Payload(vec![]).decode(), Err(DecodeError::Encoding));
        assert_eq!(Payload(vec![2, 0]).decode(), Err(DecodeError::Encoding));
        assert_eq!(Payload(vec![1, 0]).decode(), Err(DecodeError::Compression));
        assert_eq!(payload_of(b"m f=1i").decode(), Err(DecodeError::Timestamp));
        assert_eq!(payload_of(b"m f=1i -1").decode(), Err(DecodeError::Timestamp));
        assert_eq!(payload_of(b"m f=\"text\" 1").decode(), Err(DecodeError::StringField));
        assert_eq!(payload_of(&[0xff]).decode(), Err(DecodeError::Text));
        assert!(matches!(payload_of(b"m f= 1").decode(), Err(DecodeError::Line(_))));
        assert_eq!(
            payload_of("m f=1i 1\n".repeat(1_025).as_bytes()).decode(),
            Err(DecodeError::Points)
        );
    }
}
