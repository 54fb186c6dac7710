//! One line: measurement, tags, fields, timestamp.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::error::LineErrorKind;
use super::names::{Fault, Name, control_character, fault};
use super::value::read_value;
use super::{KEY_SEPARATOR_BYTES, Line, MAX_KEY_BYTES, TIMESTAMPS, Value};

/// Up to here a key is searched for one by one.
const FEW_KEYS: usize = 32;

/// Room that is made beforehand, at most.
const MOST_EXPECTED: usize = 64;

/// How many tags and fields the last line had: the next one is probably like it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes {
    tags: usize,
    fields: usize,
}

/// Reads the line that begins at `start`, without its indentation; returns it with the place of its
/// line break or of the text's end.
pub(super) fn read_line<'a>(
    text: &'a str,
    start: usize,
    sizes: &mut Sizes,
) -> Result<(Line<'a>, usize), Fault> {
    let bytes = text.as_bytes();
    let (measurement, mut at) = Name::Measurement.read(text, start)?;
    if measurement.is_empty() {
        return fault(LineErrorKind::MissingMeasurement, at);
    }
    let mut tags = Vec::new();
    if bytes.get(at) == Some(&b',') {
        tags.reserve(sizes.tags);
        at = read_tags(text, at + 1, &mut tags)?;
    }
    let key_bytes = at - start;

    at = skip_spaces(bytes, at);
    if is_end(bytes, at) {
        return fault(LineErrorKind::MissingFields, at);
    }
    let mut fields = Vec::with_capacity(sizes.fields);
    at = read_fields(text, at, key_bytes, &mut fields)?;

    at = skip_spaces(bytes, at);
    let mut timestamp = None;
    if !is_end(bytes, at) {
        let (number, end) = read_timestamp(text, at)?;
        timestamp = Some(number);
        at = skip_spaces(bytes, end);
        if !is_end(bytes, at) {
            return fault(unexpected(bytes, at), at);
        }
    }
    sizes.tags = tags.len().min(MOST_EXPECTED);
    sizes.fields = fields.len().min(MOST_EXPECTED);
    Ok((Line { measurement, tags, fields, timestamp }, at))
}

/// Reads tags from `at` up to the space after them.
fn read_tags<'a>(
    text: &'a str,
    mut at: usize,
    tags: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<usize, Fault> {
    let bytes = text.as_bytes();
    let mut keys = Keys::default();
    loop {
        let begin = at;
        let (key, end) = Name::TagKey.read(text, begin)?;
        if key.is_empty() {
            return fault(LineErrorKind::MissingTagKey, begin);
        }
        if bytes.get(end) != Some(&b'=') {
            return fault(LineErrorKind::MissingTagValue, end);
        }
        let (value, end) = Name::TagValue.read(text, end + 1)?;
        let next = bytes.get(end);
        if next == Some(&b'=') {
            return fault(LineErrorKind::UnescapedEquals, end);
        }
        if value.is_empty() {
            return fault(LineErrorKind::MissingTagValue, end);
        }
        if Name::TagKey.is_reserved(&key) {
            return fault(LineErrorKind::ReservedName, begin);
        }
        if keys.contain(tags, &key) {
            return fault(LineErrorKind::DuplicateTag, begin);
        }
        tags.push((key, value));
        match next {
            Some(b',') => at = end + 1,
            Some(b' ') => return Ok(end),
            _ => return fault(LineErrorKind::MissingFields, end),
        }
    }
}

/// Reads fields from `at` up to what ends them: a space or the line's end. Measurement and tags
/// took `key_bytes`.
fn read_fields<'a>(
    text: &'a str,
    mut at: usize,
    key_bytes: usize,
    fields: &mut Vec<(Cow<'a, str>, Value<'a>)>,
) -> Result<usize, Fault> {
    let bytes = text.as_bytes();
    let mut keys = Keys::default();
    loop {
        let begin = at;
        let (key, end) = Name::FieldKey.read(text, begin)?;
        if key.is_empty() {
            return fault(LineErrorKind::MissingFieldKey, begin);
        }
        if bytes.get(end) != Some(&b'=') {
            return fault(LineErrorKind::MissingFieldValue, end);
        }
        if key_bytes + KEY_SEPARATOR_BYTES + (end - begin) > MAX_KEY_BYTES {
            return fault(LineErrorKind::KeyTooLong, begin);
        }
        if Name::FieldKey.is_reserved(&key) {
            return fault(LineErrorKind::ReservedName, begin);
        }
        if keys.contain(fields, &key) {
            return fault(LineErrorKind::DuplicateField, begin);
        }
        let (value, end) = read_value(text, end + 1)?;
        fields.push((key, value));
        match bytes.get(end) {
            Some(b',') => at = end + 1,
            Some(b' ' | b'\n') | None => return Ok(end),
            Some(_) => return fault(unexpected(bytes, end), end),
        }
    }
}

/// Reads an integer that ends at a space or at the line's end.
fn read_timestamp(text: &str, start: usize) -> Result<(i64, usize), Fault> {
    let bytes = text.as_bytes();
    let digits = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut at = digits;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    match bytes.get(at) {
        Some(b' ' | b'\n') | None if at > digits => {}
        Some(b'\r') if control_character(bytes, at) == LineErrorKind::CarriageReturn => {
            return fault(LineErrorKind::CarriageReturn, at);
        }
        _ => return fault(LineErrorKind::InvalidTimestamp, start),
    }
    match text[start..at].parse() {
        Ok(number) if TIMESTAMPS.contains(&number) => Ok((number, at)),
        _ => fault(LineErrorKind::TimestampOutOfRange, start),
    }
}

fn skip_spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

fn is_end(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b'\n'))
}

/// What to call the byte at `at`, where nothing should be.
fn unexpected(bytes: &[u8], at: usize) -> LineErrorKind {
    match control_character(bytes, at) {
        LineErrorKind::CarriageReturn => LineErrorKind::CarriageReturn,
        _ => LineErrorKind::UnexpectedText,
    }
}

/// Notices keys that come twice: at no cost while keys ascend, and in bounded time when there are
/// very many.
struct Keys<'a> {
    ascending: bool,
    many: BTreeSet<Cow<'a, str>>,
}

impl Default for Keys<'_> {
    fn default() -> Self {
        Self { ascending: true, many: BTreeSet::new() }
    }
}

impl<'a> Keys<'a> {
    /// Whether `key` is among the keys of `entries`, all of which went through here.
    fn contain<V>(&mut self, entries: &[(Cow<'a, str>, V)], key: &str) -> bool {
        let Some((last, _)) = entries.last() else { return false };
        if self.ascending && last.as_ref() < key {
            return false;
        }
        self.ascending = false;
        if entries.len() <= FEW_KEYS {
            return entries.iter().any(|(other, _)| other == key);
        }
        let known = self.many.len();
        self.many.extend(entries[known..].iter().map(|(other, _)| other.clone()));
        self.many.contains(key)
    }
}
