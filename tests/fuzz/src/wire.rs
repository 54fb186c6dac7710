//! What both sides agree on.

use std::str::FromStr;

use influxdb_line_protocol::{FieldValue as Theirs, ParsedLine, parse_lines};
use undertone_wire::{
    FieldValue, Point,
    batch::Payload,
    endpoint::{DeploymentId, Endpoint, Ingest, OnionAddress},
    line_protocol,
    parcel::{self, Age, PAYLOAD_CAPACITY, Parcel, ParcelId, UnsealError},
    request::BODY_LENGTH,
    schema::Schema,
    session::SessionKey,
};

use super::Source;

/// Where the payload begins in a parcel, and its length before the signature.
const PAYLOAD: usize = BODY_LENGTH - PAYLOAD_CAPACITY;
const PAYLOAD_LENGTH: usize = 50;
/// The longest text that a batch decompresses to, and the most points it has.
const DECODED_LIMIT: usize = 64 * 1024;
const POINT_LIMIT: usize = 1_024;

/// What is read can be written, and read again, by others as well, as the same.
pub(crate) fn line_protocol(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for line in line_protocol::parse(text).flatten() {
        written_and_read(&Point::from(line));
    }
}

/// What can be written is read as the same, whatever names and values there are.
pub(crate) fn points(bytes: &[u8]) {
    let mut source = Source(bytes);
    let mut point = Point::new(source.text());
    while !source.is_empty() {
        let (kind, key) = (source.byte() % 6, source.text());
        point = match kind {
            0 => {
                let value = source.text();
                point.tag(key, value)
            }
            1 => point.field(key, f64::from_le_bytes(source.bytes())),
            2 => point.field(key, i64::from_le_bytes(source.bytes())),
            3 => point.field(key, u64::from_le_bytes(source.bytes())),
            4 => {
                let value = source.text();
                point.field(key, value.as_str())
            }
            _ => point.at(i64::from_le_bytes(source.bytes())),
        };
    }
    let mut text = String::new();
    match line_protocol::write(&point, &mut text) {
        Ok(()) => written_and_read(&point),
        Err(_) => assert_eq!(text, "", "what can't be written leaves nothing"),
    }
}

fn written_and_read(point: &Point) {
    let mut text = String::new();
    if let Err(error) = line_protocol::write(point, &mut text) {
        panic!("{point:?} can be read and not written: {error}");
    }
    let again: Vec<Point> = line_protocol::parse(&text)
        .map(|line| Point::from(line.unwrap_or_else(|error| panic!("{text:?}: {error}"))))
        .collect();
    assert_eq!(again, [point.clone()], "{text:?}");
    let mut twice = String::new();
    line_protocol::write(&again[0], &mut twice).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(twice, text, "equal points are equal bytes");
    let theirs: Vec<_> = parse_lines(&text).map(|line| line.map(|line| theirs(&line))).collect();
    match &theirs[..] {
        [Ok(theirs)] => assert_eq!(theirs, point, "the crate reads {text:?} otherwise"),
        other => panic!("the crate reads {text:?} as {other:?}"),
    }
}

fn theirs(line: &ParsedLine<'_>) -> Point {
    let mut point = Point::new(line.series.measurement.as_str());
    for (key, value) in line.series.tag_set.iter().flatten() {
        point = point.tag(key.as_str(), value.as_str());
    }
    for (key, value) in &line.field_set {
        let value = match value {
            Theirs::F64(value) => FieldValue::Float(*value),
            Theirs::I64(value) => FieldValue::Integer(*value),
            Theirs::U64(value) => FieldValue::Unsigned(*value),
            Theirs::Boolean(value) => FieldValue::Boolean(*value),
            Theirs::String(value) => FieldValue::String(value.to_string()),
        };
        point = point.field(key.as_str(), value);
    }
    point.timestamp = line.timestamp;
    point
}

/// No bytes but those that were sealed are a parcel, and each of these is.
pub(crate) fn parcel(bytes: &[u8]) {
    let deployment = DeploymentId::from([2; 32]);
    let session = SessionKey::from_seed(&[1; 32]);
    let mut source = Source(bytes);
    let (mode, place) = (source.byte(), u16::from_le_bytes(source.bytes()));
    // As it came: nobody has signed it.
    assert!(parcel::unseal(source.0, &deployment).is_err(), "a parcel that nobody sealed");
    let sealed = Parcel::seal(&session, ParcelId([3; 16]), &deployment, &received(source.0));
    let age = Age(mode);
    let mut body = sealed.body(age);
    let unsealed = parcel::unseal(&body, &deployment);
    let unsealed = unsealed.unwrap_or_else(|error| panic!("sealed and not unsealed: {error}"));
    assert_eq!((unsealed.session, unsealed.age), (session.public(), age));
    assert_eq!(unsealed.payload, received(source.0));
    // One byte of it is another.
    let place = usize::from(place) % body.len();
    let was = std::mem::replace(&mut body[place], mode);
    let altered = place != 1 && was != mode;
    assert_eq!(parcel::unseal(&body, &deployment).is_err(), altered, "byte {place}");
    let elsewhere = DeploymentId::from([4; 32]);
    assert_eq!(parcel::unseal(&sealed.body(age), &elsewhere), Err(UnsealError::Signature));
    let _ = parcel::read_unverified(source.0);
}

/// A payload of these bytes, cut off where it can hold no more.
fn received(bytes: &[u8]) -> Payload {
    let bytes = &bytes[..bytes.len().min(PAYLOAD_CAPACITY)];
    let mut body = vec![0; BODY_LENGTH];
    body[0] = parcel::VERSION;
    body[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 2].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
    body[PAYLOAD..PAYLOAD + bytes.len()].copy_from_slice(bytes);
    match parcel::read_unverified(&body) {
        Ok(unverified) => unverified.payload,
        Err(error) => panic!("a parcel of {} bytes: {error}", bytes.len()),
    }
}

/// What a payload decodes to is bounded, and can be encoded and decoded again. Also as the text in a frame, which
/// no fuzzer would get to by itself.
pub(crate) fn payload(bytes: &[u8]) {
    decoded(&received(bytes));
    let Ok(frame) = zstd::bulk::compress(bytes, 1) else { return };
    decoded(&received(&[&[1], &frame[..]].concat()));
}

fn decoded(payload: &Payload) {
    let claimed = payload.decoded_length();
    let Ok(points) = payload.decode() else { return };
    assert!(points.len() <= POINT_LIMIT, "{} points", points.len());
    let mut text = String::new();
    for point in &points {
        assert!(point.timestamp.is_some_and(|time| time >= 0), "{point:?}");
        let _ = line_protocol::write(point, &mut text);
    }
    assert!(claimed.is_some_and(|length| length <= DECODED_LIMIT as u64), "{claimed:?}");
    if let Ok(again) = Payload::encode(&points) {
        assert_eq!(again.decode().as_ref(), Ok(&points));
    }
}

/// What is read as a schema is written so that it is read as the same.
pub(crate) fn schema(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Schema::from_toml(text) {
        Ok(schema) => {
            let written = schema.to_toml();
            let again = Schema::from_toml(&written);
            let again = again.unwrap_or_else(|error| panic!("{error} in\n{written}"));
            assert_eq!(again, schema, "{written}");
            assert_eq!(again.version(), schema.version());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is read as an address, a deployment or both is shown so that it is read as the same.
pub(crate) fn endpoint(bytes: &[u8]) {
    fn shown<T: FromStr + ToString + PartialEq>(text: &str) {
        let Ok(read) = text.parse::<T>() else { return };
        let shown = read.to_string();
        assert!(shown.parse().is_ok_and(|again: T| again == read), "{text:?} as {shown:?}");
        assert_eq!(shown, shown.trim());
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    shown::<OnionAddress>(text);
    shown::<Endpoint>(text);
    shown::<DeploymentId>(text);
    shown::<Ingest>(text);
    // The checksum of an address is found by no fuzzer.
    if let Ok(key) = bytes[..bytes.len().min(32)].try_into() {
        let onion = OnionAddress::of_key(&key).to_string();
        shown::<OnionAddress>(&onion);
        let rest = String::from_utf8_lossy(&bytes[32..]);
        shown::<Ingest>(&format!("{onion}{rest}"));
        shown::<Endpoint>(&format!("{onion}{rest}"));
    }
}
