//! What becomes of lines: times, good beside bad ones, and what clients are told.

use std::{
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use undertone_collectors::listener::Limits;
use undertone_wire::Point;

use crate::serving::{Serving, exchange};

fn point(measurement: &str, time: i64) -> Point {
    Point::new(measurement).field("b", 1.0).at(time)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn times_are_scaled_to_nanoseconds() {
    let serving = Serving::start(Limits::default());
    for (target, time) in [
        ("/write", 3),
        ("/write?precision=n", 3),
        ("/write?precision=ns", 3),
        ("/write?precision=", 3),
        ("/write?precision=u", 3_000),
        ("/write?precision=%C2%B5", 3_000),
        ("/write?precision=us", 3_000),
        ("/write?precision=ms", 3_000_000),
        ("/write?precision=s", 3_000_000_000),
        ("/write?precision=m", 180_000_000_000),
        ("/write?precision=h", 10_800_000_000_000),
        ("/api/v2/write", 3),
        ("/api/v2/write?precision=ns", 3),
        ("/api/v2/write?precision=us", 3_000),
        ("/api/v2/write?precision=ms", 3_000_000),
        ("/api/v2/write?precision=s", 3_000_000_000),
    ] {
        let answer = serving.write(target, "", b"a b=1 3\na b=1 -3");
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{target}");
        assert_eq!(serving.points(), [point("a", time), point("a", -time)], "{target}");
    }
}

#[test]
fn lines_without_time_are_of_now() {
    let serving = Serving::start(Limits::default());
    let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
    for (target, unit) in [("/write", 1), ("/write?precision=h", 3_600_000_000_000)] {
        let before = now().unwrap();
        assert_eq!(serving.write(target, "", b"a b=1").status, 204);
        let after = now().unwrap();
        let time = serving.points()[0].timestamp.unwrap();
        assert_eq!(time % unit, 0);
        assert!((before - before % unit..=after).contains(&time), "{before} {time} {after}");
    }
}

#[test]
fn good_lines_are_taken_beside_bad_ones() {
    let serving = Serving::start(Limits::default());
    let body = b"good b=1 1\nbad b= 2\n# a comment\n\ngood b=1 3\nlate b=1 9223372036854775\n";
    let words = "partial write: unable to parse line 2, column 7: a field has no value, at \" 2\"\n\
                 unable to parse line 6, column 10: time outside range dropped=2";
    let good = [point("good", 1_000_000), point("good", 3_000_000)];
    let answer = serving.write("/write?precision=ms", "", body);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(words)));
    assert!(answer.head.contains("x-influxdb-error: partial write: "), "{answer:?}");
    assert_eq!(serving.points(), good);
    let answer = serving.write("/api/v2/write?precision=ms", "", body);
    assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(words)));
    assert_eq!(answer.json()["code"], "invalid");
    assert_eq!(serving.points(), good);
}

#[test]
fn a_byte_that_is_no_utf8_costs_its_line_alone() {
    let serving = Serving::start(Limits::default());
    let of = |n: i64| point("good", n);
    let no = |place: &str| format!("unable to parse {place}: this is no UTF-8");
    for (body, good, words) in [
        (
            &b"good b=1 1\nbad \xff=1\ngood b=1 3"[..],
            &[of(1), of(3)][..],
            &["line 2, column 5"][..],
        ),
        (b"\xffbad b=1 1\n\ngood b=1 2\n", &[of(2)], &["line 1, column 1"]),
        // Half of a character at the end of a line takes nothing of the next one with it.
        (
            b"bad,t=\xc3\ngood b=1 2\nbad b=1 3\xe2\x82\n",
            &[of(2)],
            &["line 1, column 7", "line 3, column 10"],
        ),
        // A string may have line breaks.
        (b"bad s=\"\xff\ngood b=1 2\n\" 1\ngood b=1 4", &[of(4)], &["line 1, column 8"]),
        (b"good b=1 1\n# \xff\n\n \t# \xff\ngood b=1 5", &[of(1), of(5)], &[]),
    ] {
        let answer = serving.write("/write", "", body);
        assert_eq!(serving.points(), good, "{body:?}");
        if words.is_empty() {
            assert_eq!(answer.status, 204, "{answer:?}");
            continue;
        }
        let told = words.iter().map(|place| no(place)).collect::<Vec<_>>().join("\n");
        let told = format!("partial write: {told} dropped={}", words.len());
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(&*told)));
    }
}

#[test]
fn bad_lines_alone_are_no_partial_write() {
    let serving = Serving::start(Limits::default());
    for (body, words) in [
        (&b"bad"[..], "unable to parse line 1, column 4: the line has no fields"),
        (b"a b=1 1\xff", "unable to parse line 1, column 8: this is no UTF-8"),
        (
            b"a s=\"x\ny\" 9223372036854775806",
            "unable to parse line 2, column 4: time outside range",
        ),
    ] {
        let answer = serving.write("/write?precision=s", "", body);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(words)));
        assert_eq!(serving.points(), []);
    }
    let answer = serving.write("/write", "", "secret-of-nine\n".repeat(1_000).as_bytes());
    let words = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(words.ends_with("\nand 995 lines more"), "{words}");
    assert!(words.len() < 500 && !words.contains("secret-of-nine"), "{words}");
}

#[test]
fn nothing_is_written_without_complaint() {
    let serving = Serving::start(Limits::default());
    for body in ["", "\n\n", "# a comment\n"] {
        assert_eq!(serving.write("/write", "", body.as_bytes()).status, 204, "{body:?}");
    }
    assert_eq!(serving.points(), []);
}

#[test]
fn many_lines_arrive_once_and_in_order() {
    let serving = Serving::start(Limits::default());
    let body: String = (0..1_000).map(|n| format!("a b=1 {n}\n")).collect();
    let expected: Vec<_> = (0..1_000).map(|n| point("a", n)).collect();
    assert_eq!(serving.write("/write", "", body.as_bytes()).status, 204);
    assert_eq!(serving.points(), expected);
    for headers in ["Content-Encoding: gzip\r\n", "Content-Encoding: X-GZIP\r\n"] {
        assert_eq!(serving.write("/write", headers, &gzip(body.as_bytes())).status, 204);
        assert_eq!(serving.points(), expected);
    }
    let (first, second) = body.split_at(body.len() / 2);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    assert_eq!(serving.write("/write", "Content-Encoding: gzip\r\n", &members).status, 204);
    assert_eq!(serving.points(), expected);
    let mut chunked = b"POST /write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
                        Connection: close\r\n\r\n"
        .to_vec();
    for chunk in body.as_bytes().chunks(777) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(exchange(serving.unix(), &chunked).status, 204);
    assert_eq!(serving.points(), expected);
}

#[test]
fn who_finds_no_room_is_told_when_to_come_again() {
    let serving = Serving::start(Limits::default());
    serving.set_room(2);
    for (target, key) in [("/write", "error"), ("/api/v2/write", "message")] {
        let answer = serving.write(target, "", b"a b=1 1\na b=1 2\na b=1 3\nbad");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.head.contains("\r\nretry-after: 7"), "{answer:?}");
        assert!(answer.json()[key].is_string());
        assert_eq!(serving.points(), []);
    }
    assert_eq!(serving.write("/write", "", b"a b=1 1\na b=1 2").status, 204);
}
