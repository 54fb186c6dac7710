//! What can be wrong with a line that is read, and with a point that is to be written.
//!
//! Texts quote at most a few characters of the input, since it may come from anyone.

use std::fmt;

/// How many characters of the input an error's text quotes.
const EXCERPT_CHARACTERS: usize = 8;

/// A line that was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    kind: LineErrorKind,
    line: usize,
    column: usize,
    excerpt: String,
}

/// Why a line was refused; says also which byte [`LineError::column`] counts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The line begins with a comma. Place: that comma.
    #[error("the measurement is missing")]
    MissingMeasurement,
    /// Nothing stands where a tag's key should begin. Place: there.
    #[error("a tag has no key")]
    MissingTagKey,
    /// A tag has no `=`, or nothing after it. Place: where one of these was expected.
    #[error("a tag has no value")]
    MissingTagValue,
    /// A tag's value contains `=` without a backslash. Place: the `=`.
    #[error("a tag's value has an '=' that is not escaped")]
    UnescapedEquals,
    /// The line ends before its fields. Place: the line's end.
    #[error("the line has no fields")]
    MissingFields,
    /// Nothing stands where a field's key should begin. Place: there.
    #[error("a field has no key")]
    MissingFieldKey,
    /// A field has no `=`, or nothing after it. Place: where one of these was expected.
    #[error("a field has no value")]
    MissingFieldValue,
    /// The same tag key a second time. Place: where the second one begins.
    #[error("a tag is given twice")]
    DuplicateTag,
    /// The same field key a second time. Place: where the second one begins.
    #[error("a field is given twice")]
    DuplicateField,
    /// A tag called `time`, `_field` or `_measurement`, or a field called `time`. Place: the key.
    #[error("the name is one that InfluxDB keeps for itself")]
    ReservedName,
    /// An ASCII control character outside of a string. Place: that character.
    #[error("a control character stands outside of a string")]
    ControlCharacter,
    /// The line ends in `\r\n`. Place: the `\r`.
    #[error("the line ends in a carriage return")]
    CarriageReturn,
    /// A backslash in a name before a character where parsers disagree. Place: the backslash.
    #[error("a backslash stands where parsers disagree on its meaning")]
    AmbiguousEscape,
    /// Measurement, tags and a field's key are longer than InfluxDB takes. Place: the field's key.
    #[error("measurement, tags and field key are too long together")]
    KeyTooLong,
    /// A value that is no number, boolean or string. Place: where it begins.
    #[error("the value is no number, boolean or string")]
    InvalidValue,
    /// A value that begins like a number and is none. Place: where it begins.
    #[error("the number is malformed")]
    InvalidNumber,
    /// An integer that 64 bits can't hold. Place: where it begins.
    #[error("the integer is out of range")]
    IntegerOutOfRange,
    /// Not a number, infinite, or too large for 64-bit floating point. Place: where it begins.
    #[error("the number is not finite")]
    NotFinite,
    /// A string that has no closing quote. Place: the opening quote.
    #[error("the string is not closed")]
    UnterminatedString,
    /// Something other than a separator after a string or after the timestamp. Place: there.
    #[error("something unexpected follows")]
    UnexpectedText,
    /// A timestamp that is no integer. Place: where it begins.
    #[error("the timestamp is no integer")]
    InvalidTimestamp,
    /// A timestamp that InfluxDB can't hold. Place: where it begins.
    #[error("the timestamp is out of range")]
    TimestampOutOfRange,
    /// A comment or an indented line in which quotes or a backslash make InfluxDB see another end
    /// of the line than a reader does. Place: the earlier of the two ends.
    #[error("parsers disagree on where the line ends")]
    AmbiguousLineEnd,
}

impl LineError {
    /// The error at byte `at` of `text`, which is at `line` and `column`.
    pub(super) fn new(
        kind: LineErrorKind,
        text: &str,
        at: usize,
        line: usize,
        column: usize,
    ) -> Self {
        let rest = text.get(at..).unwrap_or_default();
        let excerpt = rest.chars().take_while(|c| *c != '\n').take(EXCERPT_CHARACTERS).collect();
        Self { kind, line, column, excerpt }
    }

    /// What is wrong.
    pub fn kind(&self) -> LineErrorKind {
        self.kind
    }

    /// The line of the text in which the error is, from 1. Every `\n` is counted, also within strings.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The place in that line, in bytes, from 1; [`LineErrorKind`] says what is there.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, line, column, excerpt } = self;
        write!(f, "line {line}, column {column}: {kind}")?;
        if excerpt.is_empty() { Ok(()) } else { write!(f, ", at {excerpt:?}") }
    }
}

impl std::error::Error for LineError {}

/// A point that can't be written so that everyone reads the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteError {
    kind: WriteErrorKind,
    excerpt: String,
}

/// Why a point can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WriteErrorKind {
    /// The measurement's name is empty.
    #[error("the measurement's name is empty")]
    EmptyMeasurement,
    /// The measurement's name begins with `#`, as a comment does.
    #[error("the measurement's name begins like a comment")]
    Comment,
    /// A tag's key is empty.
    #[error("a tag's key is empty")]
    EmptyTagKey,
    /// A tag's value is empty.
    #[error("a tag's value is empty")]
    EmptyTagValue,
    /// A field's key is empty.
    #[error("a field's key is empty")]
    EmptyFieldKey,
    /// The point has no fields.
    #[error("the point has no fields")]
    NoFields,
    /// A tag called `time`, `_field` or `_measurement`, or a field called `time`.
    #[error("the name is one that InfluxDB keeps for itself")]
    ReservedName,
    /// A name or a tag's value contains an ASCII control character, such as a line break.
    #[error("a name or a tag's value contains a control character")]
    ControlCharacter,
    /// A name or a tag's value ends in a backslash, or has one where parsers disagree.
    #[error("a name or a tag's value has a backslash where it can't be written")]
    Backslash,
    /// Measurement, tags and a field's key are longer than InfluxDB takes.
    #[error("measurement, tags and field key are too long together")]
    KeyTooLong,
    /// A field is not a number, or infinite.
    #[error("a field is not finite")]
    NotFinite,
    /// A timestamp that InfluxDB can't hold.
    #[error("the timestamp is out of range")]
    TimestampOutOfRange,
}

impl WriteError {
    /// The error with the first characters of the `name` in or of which it is.
    pub(super) fn new(kind: WriteErrorKind, name: &str) -> Self {
        Self { kind, excerpt: name.chars().take(EXCERPT_CHARACTERS).collect() }
    }

    /// What is wrong.
    pub fn kind(&self) -> WriteErrorKind {
        self.kind
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, excerpt } = self;
        if excerpt.is_empty() { kind.fmt(f) } else { write!(f, "{kind}: {excerpt:?}") }
    }
}

impl std::error::Error for WriteError {}
