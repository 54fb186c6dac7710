//! Bodies that are no parcel of this deployment, or one that tries to say more than it may.

use undertone_wire::{
    batch::Payload,
    endpoint::DeploymentId,
    parcel::{self, Age, PAYLOAD_CAPACITY, Parcel, ParcelId},
    request::BODY_LENGTH,
    session::SessionKey,
};

use super::{
    ONION,
    answers::{Expected, MALFORMED, TAKEN},
};

// Where fields begin in a body; docs/wire.md.
const PUBLIC_KEY: usize = 2;
const LENGTH: usize = 50;
const SIGNATURE: usize = 52;
const SCALAR: usize = SIGNATURE + 32;
const PAYLOAD: usize = BODY_LENGTH - PAYLOAD_CAPACITY;

/// The order of Ed25519's group, little endian (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// All encodings of points of small order, canonical or not ("Taming the many EdDSAs", table 6).
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// What is said, and what is to be answered.
pub(crate) type Case = (String, Vec<u8>, Expected);

/// A key that nobody else here has.
pub(crate) fn key(kind: u8, number: u64) -> SessionKey {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SessionKey::from_seed(&seed)
}

/// A push as an agent makes it.
pub(crate) fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nhost: {ONION}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A body with these bytes as its payload, signed by an attacker's key.
pub(crate) fn sealed(number: u64, deployment: &DeploymentId, payload: &[u8]) -> Vec<u8> {
    let session = key(b'a', number);
    let mut id = [0xaa; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Parcel::seal(&session, ParcelId(id), deployment, &received(payload)).body(Age(0)).to_vec()
}

/// Any bytes as a payload; what is too long is cut off.
fn received(bytes: &[u8]) -> Payload {
    let bytes = &bytes[..bytes.len().min(PAYLOAD_CAPACITY)];
    let mut body = vec![0; BODY_LENGTH];
    body[0] = parcel::VERSION;
    body[LENGTH..SIGNATURE].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
    body[PAYLOAD..PAYLOAD + bytes.len()].copy_from_slice(bytes);
    parcel::read_unverified(&body).map(|read| read.payload).unwrap_or_default()
}

/// A text as agents compress it.
pub(crate) fn compressed(text: &[u8]) -> Vec<u8> {
    let frame = zstd::bulk::compress(text, 3).unwrap_or_default();
    [&[1], &frame[..]].concat()
}

/// Replayed, truncated, altered, for others, by others.
pub(crate) fn forgeries(deployment: &DeploymentId) -> Vec<Case> {
    let good = sealed(0, deployment, &compressed(b"app.hits.count count=1i,delta=1i 0\n"));
    let mut cases: Vec<Case> = vec![
        ("a parcel".to_owned(), request(&good), TAKEN),
        ("replayed".to_owned(), request(&good), TAKEN),
    ];
    let mut bad = |what: String, body: &[u8]| cases.push((what, request(body), MALFORMED));
    for length in [0, 1, 116, BODY_LENGTH - 1] {
        bad(format!("truncated to {length} bytes"), &good[..length]);
    }
    bad("one byte longer".to_owned(), &[&good[..], &[0]].concat());
    // Each field, and every 97th bit of all.
    for bit in (0..BODY_LENGTH * 8).step_by(97).filter(|bit| bit / 8 != 1) {
        let mut altered = good.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        bad(format!("bit {bit} flipped"), &altered);
    }
    let elsewhere = DeploymentId::from([7; 32]);
    bad("for another deployment".to_owned(), &sealed(1, &elsewhere, &compressed(b"")));
    let mut other = good.clone();
    other[PUBLIC_KEY..PUBLIC_KEY + 32].copy_from_slice(key(b'a', 2).public().as_bytes());
    bad("by another key".to_owned(), &other);
    let mut swapped = good.clone();
    let foreign = sealed(3, deployment, &compressed(b""));
    swapped[SIGNATURE..PAYLOAD].copy_from_slice(&foreign[SIGNATURE..PAYLOAD]);
    bad("with another parcel's signature".to_owned(), &swapped);
    let mut malleated = good.clone();
    add_order(&mut malleated[SCALAR..PAYLOAD]);
    bad("with S that isn't reduced".to_owned(), &malleated);
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap_or_default();
    for point in SMALL_ORDER {
        for commitment in SMALL_ORDER {
            // With S = 0, lax checks take some of these for any message.
            let mut small = good.clone();
            small[PUBLIC_KEY..PUBLIC_KEY + 32].copy_from_slice(&hex(point));
            small[SIGNATURE..SCALAR].copy_from_slice(&hex(commitment));
            small[SCALAR..PAYLOAD].fill(0);
            bad(format!("of small order: {point}, {commitment}"), &small);
        }
        let mut small = good.clone();
        small[SIGNATURE..SCALAR].copy_from_slice(&hex(point));
        bad(format!("with R of small order: {point}"), &small);
    }
    bad("zeros".to_owned(), &[0; BODY_LENGTH]);
    bad("ones".to_owned(), &[0xff; BODY_LENGTH]);
    cases
}

/// S + L, which is the same scalar.
fn add_order(scalar: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// Little that becomes much, or claims to.
pub(crate) fn bombs(deployment: &DeploymentId) -> Vec<Case> {
    let zeros = vec![b'a'; 32 << 20];
    let frame = zstd::bulk::compress(&zeros, 19).unwrap_or_default();
    let line = b"app.hits.count count=1i,delta=1i 0\n";
    let mut claims_little = frame.clone();
    // The length that the frame claims stands behind its descriptor: 32 MiB in 4 bytes.
    if let Some(length) = claims_little.get_mut(5..9) {
        length.copy_from_slice(&64_u32.to_le_bytes());
    }
    let mut window = vec![1, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff];
    window.extend_from_slice(&[0x01, 0x00, 0x00]);
    let block_of = |count: usize| -> Vec<u8> {
        // RLE blocks of 128 KiB, without a length.
        let mut frame = vec![1, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        for index in 0..count {
            let last = u32::from(index + 1 == count);
            let header = (131_072_u32 << 3) | (1 << 1) | last;
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(b'a');
        }
        frame
    };
    let gzip = {
        // A stored gzip of nothing: magic and header are what matters.
        let mut bytes = vec![1, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        bytes.extend_from_slice(&[0x4b, 0x04, 0x00]);
        bytes
    };
    let nested = compressed(&frame[..frame.len().min(60_000)]);
    let many: Vec<u8> = line.iter().copied().cycle().take(line.len() * 1_800).collect();
    let payloads: Vec<(&str, Vec<u8>, Expected)> = vec![
        ("32 MiB in a frame that says so", [&[1], &frame[..]].concat(), MALFORMED),
        ("32 MiB in a frame that says 64 bytes", [&[1], &claims_little[..]].concat(), MALFORMED),
        ("110 MiB in blocks of one byte", block_of(900), MALFORMED),
        ("a window of terabytes", window, MALFORMED),
        ("gzip", gzip, MALFORMED),
        ("a frame in a frame", nested, MALFORMED),
        ("two frames", [&compressed(line)[..], &compressed(line)[1..]].concat(), MALFORMED),
        ("1,800 points", compressed(&many), MALFORMED),
        ("64 KiB of one name", compressed(&[&[b'a'; 65_000][..], b" b=1 0\n"].concat()), MALFORMED),
        ("an unknown encoding", vec![2, 0, 0], MALFORMED),
        ("nothing at all", vec![], MALFORMED),
    ];
    let numbered = (100..).zip(payloads);
    let case = |(number, (what, payload, expected)): (u64, (&str, Vec<u8>, Expected))| {
        (what.to_owned(), request(&sealed(number, deployment, &payload)), expected)
    };
    numbered.map(case).collect()
}

/// Names that try to get past the schema, or a second line into the database.
pub(crate) fn evasions(deployment: &DeploymentId) -> Vec<Case> {
    let good = "app.hits.count";
    let names = [
        r"app.hits.count\ ",
        r"app.hits\,.count",
        r"app.hits.count\\",
        r"app\.hits.count",
        "App.hits.count",
        "app.hits.count\u{0}",
        "app.hits.count\u{202e}",
        "\u{202e}tnuoc.stih.ppa",
        "аpp.hits.count",
        "app.hits.cоunt",
        "app.hits.count\u{200b}",
        "app..hits.count",
        "app.hits.count\t",
        "ａpp.hits.count",
        "app.hits.count\u{301}",
        "app.hits.count.count",
        ".hits.count",
        "app.",
        "_app.hits.count",
        "#app.hits.count",
    ];
    let mut lines: Vec<String> = Vec::new();
    lines.extend(names.iter().map(|name| format!("{name} count=1i,delta=1i 0\n")));
    for tags in [
        "session=somebody-else",
        r"sess\ion=x",
        r"session\ =x",
        "Session=x",
        "session\u{0}=x",
        "ѕession=x",
        r"host=a\ ",
        r"host=b\ c\,d\=e",
        r"host=a\",
        "host=A",
        "host=\u{202e}a",
        "host=а",
        "host=a,host=a",
        "time=1",
        "host=a,session=x",
        r"host=a\,session\=x",
        "_field=x",
        "_measurement=x",
    ] {
        lines.push(format!("{good},{tags} count=1i,delta=1i 0\n"));
    }
    for fields in [
        "count=1i,delta=1i,secret=1i",
        "count=1i",
        "count=1.5,delta=1i",
        "count=-1i,delta=1i",
        "count=1u,delta=1i",
        "count=9223372036854775807i,delta=1i",
        "count=1i,delta=9223372036854775807i",
        "count=\"1\",delta=1i",
        "count=NaN,delta=1i",
        "count=1e400,delta=1i",
        "count=1i,count=1i,delta=1i",
        "count=t,delta=1i",
        r"count\ =1i,delta=1i",
        "session=\"x\"",
    ] {
        lines.push(format!("{good} {fields} 0\n"));
    }
    lines.push(format!("{good} count=1i,delta=1i -1\n"));
    lines.push(format!("{good} count=1i,delta=1i 9223372036854775807\n"));
    lines.push(format!("{good} count=1i,delta=1i\n"));
    lines.push("app.hits.count count=1i,delta=1i 0\r\n".to_owned());
    lines.push("app.hits.count count=1i,delta=1i 0\n\u{0}\n".to_owned());
    lines.push(format!("{}.count count=1i,delta=1i 0\n", "a".repeat(60_000)));
    lines.push(format!(
        "{good},{} count=1i,delta=1i 0\n",
        "a=b,".repeat(9_000).trim_end_matches(',')
    ));
    let numbered = (10_000..).zip(lines);
    // Taken without being stored, or malformed: which of the two, nobody learns more from.
    let case = |(number, line): (u64, String)| {
        let what = line.chars().take(60).collect();
        let body = sealed(number, deployment, &compressed(line.as_bytes()));
        (what, request(&body), Expected(&["204", "400"]))
    };
    let mut cases: Vec<Case> = numbered.map(case).collect();
    let raw = sealed(20_000, deployment, &compressed(b"app.hits.count count=1i \xff\xfe 0\n"));
    cases.push(("bytes that are no text".to_owned(), request(&raw), MALFORMED));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_and_the_order_are_another_encoding_of_it() {
        let mut scalar = [0; 32];
        scalar[0] = 0x13;
        add_order(&mut scalar);
        assert_eq!(scalar[..3], [0x00, 0xd4, 0xf5]);
        assert_eq!(scalar[31], 0x10);
    }
}
