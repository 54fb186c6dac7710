//! What is written for a point, and what can't be.

use undertone_wire::Point;
use undertone_wire::line_protocol::{WriteErrorKind, parse, write};

fn written(point: &Point) -> String {
    let mut text = String::new();
    write(point, &mut text).expect("can be written");
    text
}

#[test]
fn tags_and_fields_are_sorted() {
    let point = Point::new("m").tag("z", "1").tag("a", "2").field("y", true).field("b", "s").at(-7);
    assert_eq!(written(&point), "m,a=2,z=1 b=\"s\",y=true -7\n");
}

#[test]
fn numbers_are_written_as_short_as_they_can_be() {
    let floats = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-250.0, "-250"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (1.5e300, "1.5e300"),
        (-5e-324, "-5e-324"),
        (1e-7, "1e-7"),
        (f64::MAX, "1.7976931348623157e308"),
    ];
    for (float, text) in floats {
        assert_eq!(written(&Point::new("m").field("f", float)), format!("m f={text}\n"));
    }
    let integers = Point::new("m").field("i", i64::MIN).field("u", u64::MAX);
    assert_eq!(written(&integers), "m i=-9223372036854775808i,u=18446744073709551615u\n");
}

#[test]
fn names_and_strings_are_escaped() {
    let point = Point::new("a ,=\"b").tag("c ,=", "d ,=\"").field("e ,=\"", "f ,=\"\\\n").at(1);
    let text = "a\\ \\,=\"b,c\\ \\,\\==d\\ \\,\\=\" e\\ \\,\\=\"=\"f ,=\\\"\\\\\n\" 1\n";
    assert_eq!(written(&point), text);
}

#[test]
fn what_cannot_be_said_is_refused_and_leaves_the_text_as_it_was() {
    let m = || Point::new("m").field("f", 1.0);
    let long = "a".repeat(65_530);
    let cases = [
        (Point::new("").field("f", 1.0), WriteErrorKind::EmptyMeasurement),
        (Point::new("#m").field("f", 1.0), WriteErrorKind::Comment),
        (Point::new("m").tag("t", "v"), WriteErrorKind::NoFields),
        (m().tag("", "v"), WriteErrorKind::EmptyTagKey),
        (m().tag("t", ""), WriteErrorKind::EmptyTagValue),
        (m().field("", 1.0), WriteErrorKind::EmptyFieldKey),
        (m().tag("time", "v"), WriteErrorKind::ReservedName),
        (m().tag("_field", "v"), WriteErrorKind::ReservedName),
        (m().tag("_measurement", "v"), WriteErrorKind::ReservedName),
        (m().field("time", 1.0), WriteErrorKind::ReservedName),
        (Point::new("a\nb").field("f", 1.0), WriteErrorKind::ControlCharacter),
        (m().tag("t", "a\tb"), WriteErrorKind::ControlCharacter),
        (m().field("a\0", 1.0), WriteErrorKind::ControlCharacter),
        (m().tag("t", "C:\\"), WriteErrorKind::Backslash),
        (m().tag("t", "\\\\host"), WriteErrorKind::Backslash),
        (m().tag("t\\=", "v"), WriteErrorKind::Backslash),
        (Point::new("a\\ b").field("f", 1.0), WriteErrorKind::Backslash),
        (Point::new("a\\=b").field("f", 1.0), WriteErrorKind::Backslash),
        (m().field("a\\\"b", 1.0), WriteErrorKind::Backslash),
        (Point::new(long + "a").field("f", 1.0), WriteErrorKind::KeyTooLong),
        (m().field("g", f64::NAN), WriteErrorKind::NotFinite),
        (m().field("g", f64::NEG_INFINITY), WriteErrorKind::NotFinite),
        (m().at(i64::MAX), WriteErrorKind::TimestampOutOfRange),
        (m().at(i64::MIN + 1), WriteErrorKind::TimestampOutOfRange),
    ];
    for (point, kind) in cases {
        let mut text = "before".to_owned();
        let error = write(&point, &mut text).expect_err("can't be written");
        assert_eq!((error.kind(), text.as_str()), (kind, "before"), "{error}");
    }
}

#[test]
fn errors_quote_few_characters() {
    let text = "m f=SecretSecretSecret";
    let error = parse(text).next().unwrap().unwrap_err();
    let expected = "line 1, column 5: the value is no number, boolean or string, at \"SecretSe\"";
    assert_eq!(error.to_string(), expected);

    let point = Point::new("m").tag("t", "Secret\nSecretSecret").field("f", 1.0);
    let error = write(&point, &mut String::new()).unwrap_err();
    let expected = "a name or a tag's value contains a control character: \"Secret\\nS\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn text_without_escapes_is_borrowed() {
    let line = parse("m,t=v f=\"s\"").next().unwrap().unwrap();
    let is_borrowed =
        |text: &std::borrow::Cow<'_, str>| matches!(text, std::borrow::Cow::Borrowed(_));
    assert!(is_borrowed(&line.measurement) && is_borrowed(&line.tags[0].1));
}
