//! `net`: what network interfaces did since they are there.
//!
//! No addresses. (Some systems name an interface after its hardware's address; such a name is a tag
//! like any other.)

use undertone_wire::Point;

use super::{POINTS_LIMIT, files::Files, integer};

/// Fields, and their columns in `/proc/net/dev`.
const FIELDS: [(&str, usize); 8] = [
    ("bytes_recv", 0),
    ("packets_recv", 1),
    ("err_in", 2),
    ("drop_in", 3),
    ("bytes_sent", 8),
    ("packets_sent", 9),
    ("err_out", 10),
    ("drop_out", 11),
];
const COLUMNS: usize = 12;

/// Lines before the first interface.
const HEAD_LINES: usize = 2;

/// Flags of an interface (`linux/if.h`).
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;

/// A point for each interface that is up and not loopback.
pub(super) fn read(files: &mut Files) -> Vec<Point> {
    let Some(text) = files.read_own("net/dev") else { return Vec::new() };
    let mut points = Vec::new();
    for line in text.lines().skip(HEAD_LINES) {
        match parse(line) {
            Some((name, _)) if !is_wanted(files, name) => {}
            Some((name, counts)) if points.len() < POINTS_LIMIT => {
                let point = Point::new("net")
                    .tag("interface", name)
                    .field("speed", speed_megabits(files, name));
                points.push(FIELDS.iter().fold(point, |point, (field, column)| {
                    point.field(*field, integer(counts[*column]))
                }));
            }
            _ => files.count_line(),
        }
    }
    points
}

fn parse(line: &str) -> Option<(&str, [u64; COLUMNS])> {
    // An alias has a colon in its name.
    let (name, rest) = line.rsplit_once(':')?;
    let name = name.trim();
    if name.is_empty() || name.contains(['/', '\\']) {
        return None;
    }
    let mut words = rest.split_whitespace();
    let mut counts = [0; COLUMNS];
    for count in &mut counts {
        *count = words.next()?.parse().ok()?;
    }
    Some((name, counts))
}

/// Where nothing tells an interface's flags, only the name `lo` is known to be loopback.
fn is_wanted(files: &Files, name: &str) -> bool {
    let flags = files.read_optional(&format!("sys/class/net/{name}/flags"));
    let flags = flags.as_deref().and_then(|flags| flags.trim().strip_prefix("0x"));
    match flags.and_then(|flags| u32::from_str_radix(flags, 16).ok()) {
        Some(flags) => flags & UP != 0 && flags & LOOPBACK == 0,
        None => name != "lo",
    }
}

/// In Mbit/s; −1 where nobody knows.
fn speed_megabits(files: &Files, name: &str) -> i64 {
    files
        .read_optional(&format!("sys/class/net/{name}/speed"))
        .and_then(|speed| speed.trim().parse().ok())
        .unwrap_or(-1)
}
