//! Names, which are measurements, tag keys, tag values and field keys: what ends them, what is
//! escaped in them, and what is refused.
//!
//! InfluxDB has no escape for the backslash itself. Its parser leaves `\\` as it is, others make it
//! one backslash, so that a doubled backslash means nothing that can be relied on.

use std::borrow::Cow;

use super::error::{LineErrorKind, WriteErrorKind};

/// A fault at a byte of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) kind: LineErrorKind,
    pub(super) at: usize,
}

/// `Err` with a fault at a byte of the text.
pub(super) fn fault<T>(kind: LineErrorKind, at: usize) -> Result<T, Fault> {
    Err(Fault { kind, at })
}

/// Which part of a line a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Measurement,
    TagKey,
    TagValue,
    FieldKey,
}

/// Bit of [`CLASSES`]: to be looked at within a measurement.
const IN_MEASUREMENT: u8 = 1;
/// Bit of [`CLASSES`]: to be looked at within any other name.
const IN_OTHERS: u8 = 2;

/// For each byte, in which names it is more than a letter.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        classes[control] = IN_MEASUREMENT | IN_OTHERS;
        control += 1;
    }
    classes[0x7f] = IN_MEASUREMENT | IN_OTHERS;
    classes[b',' as usize] = IN_MEASUREMENT | IN_OTHERS;
    classes[b' ' as usize] = IN_MEASUREMENT | IN_OTHERS;
    classes[b'\\' as usize] = IN_MEASUREMENT | IN_OTHERS;
    classes[b'=' as usize] = IN_OTHERS;
    classes
};

impl Name {
    fn class(self) -> u8 {
        if self == Self::Measurement { IN_MEASUREMENT } else { IN_OTHERS }
    }

    /// Whether a backslash before this byte is an escape.
    fn escapes(self, next: u8) -> bool {
        matches!(next, b',' | b' ') || (next == b'=' && self != Self::Measurement)
    }

    /// Whether parsers disagree on a backslash before this byte: some read one backslash for two,
    /// and InfluxDB's own unescapes quotes and `=` in a measurement, quotes in a field's key.
    fn is_ambiguous(self, next: u8) -> bool {
        match next {
            b'\\' => true,
            b'"' => matches!(self, Self::Measurement | Self::FieldKey),
            b'=' => self == Self::Measurement,
            _ => false,
        }
    }

    /// Whether InfluxDB keeps this name for itself, or drops what is called so.
    pub(super) fn is_reserved(self, name: &str) -> bool {
        match self {
            Self::TagKey => matches!(name, "time" | "_field" | "_measurement"),
            Self::FieldKey => name == "time",
            Self::Measurement | Self::TagValue => false,
        }
    }

    /// Reads the name that begins at `start`, up to a separator that isn't escaped or to the end of
    /// the line, and returns it (it may be empty) with the place of that separator.
    pub(super) fn read(self, text: &str, start: usize) -> Result<(Cow<'_, str>, usize), Fault> {
        let bytes = text.as_bytes();
        let class = self.class();
        let mut unescaped = String::new();
        let mut plain = start;
        let mut at = start;
        loop {
            while let Some(byte) = bytes.get(at)
                && CLASSES[usize::from(*byte)] & class == 0
            {
                at += 1;
            }
            match bytes.get(at) {
                Some(b'\\') => match bytes.get(at + 1) {
                    Some(next) if self.escapes(*next) => {
                        unescaped.push_str(&text[plain..at]);
                        plain = at + 1;
                        at += 2;
                    }
                    Some(next) if self.is_ambiguous(*next) => {
                        return fault(LineErrorKind::AmbiguousEscape, at);
                    }
                    _ => at += 1,
                },
                Some(byte) if byte.is_ascii_control() && *byte != b'\n' => {
                    return fault(control_character(bytes, at), at);
                }
                _ => break,
            }
        }
        let rest = &text[plain..at];
        if unescaped.is_empty() && plain == start {
            return Ok((Cow::Borrowed(rest), at));
        }
        unescaped.push_str(rest);
        Ok((Cow::Owned(unescaped), at))
    }

    /// Appends `name` with its escapes, unless it can't be written.
    pub(super) fn write(self, name: &str, out: &mut String) -> Result<(), WriteErrorKind> {
        let bytes = name.as_bytes();
        let class = self.class();
        let mut plain = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if CLASSES[usize::from(*byte)] & class == 0 {
                continue;
            }
            match byte {
                b'\\' => match bytes.get(at + 1) {
                    None => return Err(WriteErrorKind::Backslash),
                    Some(next) if self.escapes(*next) || self.is_ambiguous(*next) => {
                        return Err(WriteErrorKind::Backslash);
                    }
                    Some(_) => {}
                },
                b',' | b' ' | b'=' => {
                    out.push_str(&name[plain..at]);
                    out.push('\\');
                    plain = at;
                }
                _ => return Err(WriteErrorKind::ControlCharacter),
            }
        }
        out.push_str(&name[plain..]);
        Ok(())
    }
}

/// What to call the control character at `at`: a carriage return at a line's end is the usual one.
pub(super) fn control_character(bytes: &[u8], at: usize) -> LineErrorKind {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n') | None) => LineErrorKind::CarriageReturn,
        _ => LineErrorKind::ControlCharacter,
    }
}
