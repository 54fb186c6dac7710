//! A field's value: number, boolean or string.

use std::borrow::Cow;

use super::Value;
use super::error::LineErrorKind;
use super::names::{Fault, control_character, fault};

/// Reads the value that begins at `start`; returns it with the place behind it. What ends it is the
/// caller's to check after a string; numbers and booleans end at a comma, a space or the line's end.
pub(super) fn read_value(text: &str, start: usize) -> Result<(Value<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    match bytes.get(start) {
        Some(b'"') => read_string(text, start),
        Some(b'0'..=b'9' | b'-' | b'.') => read_number(text, start),
        None | Some(b',' | b' ' | b'\n') => fault(LineErrorKind::MissingFieldValue, start),
        Some(_) => read_word(text, start),
    }
}

/// Reads a string from its opening quote on. `\"` and `\\` are escapes; any other backslash is one.
fn read_string(text: &str, start: usize) -> Result<(Value<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    let mut unescaped = String::new();
    let mut plain = start + 1;
    let mut at = plain;
    loop {
        while let Some(byte) = bytes.get(at)
            && !matches!(byte, b'"' | b'\\')
        {
            at += 1;
        }
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return fault(LineErrorKind::UnterminatedString, start),
            (Some(b'\\'), Some(b'"' | b'\\')) => {
                unescaped.push_str(&text[plain..at]);
                plain = at + 1;
                at += 2;
            }
            (Some(b'\\'), _) => at += 1,
            _ => break,
        }
    }
    let rest = &text[plain..at];
    let string = if plain == start + 1 {
        Cow::Borrowed(rest)
    } else {
        unescaped.push_str(rest);
        Cow::Owned(unescaped)
    };
    Ok((Value::String(string), at + 1))
}

/// Reads `-`, digits, and `i`; or digits and `u`; or a decimal number with or without an exponent,
/// where one of the digits before and behind the point may be missing.
fn read_number(text: &str, start: usize) -> Result<(Value<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    let negative = bytes.get(start) == Some(&b'-');
    let whole = start + usize::from(negative);
    let mut at = skip_digits(bytes, whole);
    let mut digits = at - whole;
    let mut is_whole = true;
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = skip_digits(bytes, fraction);
        digits += at - fraction;
        is_whole = false;
    }
    if digits == 0 {
        return fault(no_number(bytes, start, whole), start);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let exponent = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = skip_digits(bytes, exponent);
        if at == exponent {
            return fault(LineErrorKind::InvalidNumber, start);
        }
        is_whole = false;
    }
    let number = &text[start..at];
    let (value, end) = match bytes.get(at) {
        Some(b'i') if is_whole => (number.parse().map(Value::Integer), at + 1),
        Some(b'u') if is_whole && !negative => (number.parse().map(Value::Unsigned), at + 1),
        _ => (Ok(Value::Float(number.parse().unwrap_or(f64::NAN))), at),
    };
    if !is_value_end(bytes, end) {
        return match control_character(bytes, end) {
            LineErrorKind::CarriageReturn => fault(LineErrorKind::CarriageReturn, end),
            _ => fault(LineErrorKind::InvalidNumber, start),
        };
    }
    match value {
        Ok(Value::Float(number)) if !number.is_finite() => fault(LineErrorKind::NotFinite, start),
        Ok(value) => Ok((value, end)),
        Err(_) => fault(LineErrorKind::IntegerOutOfRange, start),
    }
}

/// What to call a value that begins like a number and has no digits.
fn no_number(bytes: &[u8], start: usize, whole: usize) -> LineErrorKind {
    match word_kind(&bytes[whole..value_end(bytes, start)]) {
        LineErrorKind::NotFinite => LineErrorKind::NotFinite,
        _ => LineErrorKind::InvalidNumber,
    }
}

/// Reads a boolean.
fn read_word(text: &str, start: usize) -> Result<(Value<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    let end = value_end(bytes, start);
    let word = &bytes[start..end];
    match word {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok((Value::Boolean(true), end)),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok((Value::Boolean(false), end)),
        [.., b'\r'] if control_character(bytes, end - 1) == LineErrorKind::CarriageReturn => {
            fault(LineErrorKind::CarriageReturn, end - 1)
        }
        _ => fault(word_kind(word), start),
    }
}

/// What to call a word that is no value.
fn word_kind(word: &[u8]) -> LineErrorKind {
    let word = word.strip_prefix(b"+").unwrap_or(word);
    let not_finite: [&[u8]; 3] = [b"nan", b"inf", b"infinity"];
    if not_finite.iter().any(|name| word.eq_ignore_ascii_case(name)) {
        return LineErrorKind::NotFinite;
    }
    LineErrorKind::InvalidValue
}

fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn is_value_end(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b',' | b' ' | b'\n'))
}

fn value_end(bytes: &[u8], mut at: usize) -> usize {
    while !is_value_end(bytes, at) {
        at += 1;
    }
    at
}
