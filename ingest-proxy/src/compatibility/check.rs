//! What of a client's points is taken, written anew. Pure.
//!
//! What a schema has is closed to clients who sign nothing: nobody forges what verified agents say. No tag
//! `session` of theirs passes as ours (invariant S3).

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use undertone_wire::{
    FieldValue, Name, Point, influxdb::PointError, line_protocol, schema::SESSION_TAG,
};

use super::session::ClientSessions;
use crate::{config::CompatibilityConfig, schemas::Schemas};

/// The longest name, key or tag's value, in bytes.
const NAME_LIMIT: usize = 256;
/// Tags of a point.
const TAGS_LIMIT: usize = 32;
/// Fields of a point; Telegraf's largest inputs have some 300.
const FIELDS_LIMIT: usize = 512;

/// Points by the client's own session, and what was refused, by reason.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Checked {
    pub(super) sessions: BTreeMap<Option<Name>, Vec<Point>>,
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// Checks all points of a body; none if there are too many.
pub(super) fn check(
    points: impl Iterator<Item = Result<Point, PointError>>,
    config: &CompatibilityConfig,
    sessions: &ClientSessions,
    schemas: &Schemas,
    now: SystemTime,
) -> Option<Checked> {
    let mut checked = Checked::default();
    let mut line = String::new();
    for (number, point) in points.enumerate() {
        if number >= config.lines {
            return None;
        }
        let Ok(mut point) = point else {
            refuse(&mut checked.refused, "line", 1);
            continue;
        };
        let tag = sessions.take_tag(&mut point);
        match read(&mut point, tag.as_deref(), config, schemas, now) {
            Ok(Text::Kept) => {}
            Ok(Text::LeftOut) => refuse(&mut checked.refused, "text", 1),
            Err(reason) => {
                refuse(&mut checked.refused, reason, 1);
                continue;
            }
        }
        // What can't be written can't be stored, and would take the rest with it.
        line.clear();
        if line_protocol::write(&point, &mut line).is_err() {
            refuse(&mut checked.refused, "line", 1);
            continue;
        }
        checked.sessions.entry(tag).or_default().push(point);
    }
    Some(checked)
}

/// Counts what is refused.
pub(super) fn refuse(
    refused: &mut BTreeMap<&'static str, u64>,
    reason: &'static str,
    points: usize,
) {
    *refused.entry(reason).or_default() += points as u64;
}

/// A time as points have it.
pub(super) fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX - 1)
}

/// Whether fields of text were left out of a point that is taken.
enum Text {
    Kept,
    LeftOut,
}

/// Leaves of a point what is taken; else the reason it is refused for.
fn read(
    point: &mut Point,
    tag: Option<&str>,
    config: &CompatibilityConfig,
    schemas: &Schemas,
    now: SystemTime,
) -> Result<Text, &'static str> {
    // Whatever a client calls so is not what we call so.
    point.tags.remove(SESSION_TAG);
    let begins = |prefix: &String| point.measurement.starts_with(prefix.as_str());
    let allowed = config.measurements.is_empty() || config.measurements.iter().any(begins);
    if !allowed || schemas.has(&point.measurement) {
        return Err("measurement");
    }
    if is_too_large(point) || tag.is_some_and(|tag| tag.len() > NAME_LIMIT) {
        return Err("size");
    }
    let time = point.timestamp.and_then(|time| u64::try_from(time).ok()).ok_or("time")?;
    let time = UNIX_EPOCH + Duration::from_nanos(time);
    if time > now + config.newest || time + config.oldest < now {
        return Err("time");
    }
    let fields = point.fields.len();
    point.fields.retain(|_, value| match value {
        FieldValue::String(text) => config.text_bytes > 0 && text.len() <= config.text_bytes,
        _ => true,
    });
    match point.fields.len() {
        0 => Err("text"),
        left if left < fields => Ok(Text::LeftOut),
        _ => Ok(Text::Kept),
    }
}

fn is_too_large(point: &Point) -> bool {
    let tags = point.tags.iter().flat_map(|(key, value)| [key, value]);
    let mut names = tags.chain(point.fields.keys()).chain([&point.measurement]);
    point.tags.len() > TAGS_LIMIT
        || point.fields.len() > FIELDS_LIMIT
        || names.any(|name| name.len() > NAME_LIMIT)
}
