//! `diskio`: what block devices did since they are there.
//!
//! No serial numbers, labels or world-wide names: a device's name is the only tag.

use undertone_wire::Point;

use super::{POINTS_LIMIT, files::Files, integer};

/// `/proc/diskstats` counts in sectors of this size, whatever the device's are.
const SECTOR_BYTES: u64 = 512;

/// The fields in the order of `/proc/diskstats`, with what a count there is in the field's unit
/// (bytes, milliseconds, or just a number).
const FIELDS: [(&str, u64); 11] = [
    ("reads", 1),
    ("merged_reads", 1),
    ("read_bytes", SECTOR_BYTES),
    ("read_time", 1),
    ("writes", 1),
    ("merged_writes", 1),
    ("write_bytes", SECTOR_BYTES),
    ("write_time", 1),
    ("iops_in_progress", 1),
    ("io_time", 1),
    ("weighted_io_time", 1),
];

/// A point for each disk and partition, but not for loop devices and RAM disks.
pub(super) fn read(files: &mut Files) -> Vec<Point> {
    let Some(text) = files.read("proc/diskstats") else { return Vec::new() };
    let mut points = Vec::new();
    for line in text.lines() {
        match parse(line) {
            Some((name, _)) if is_virtual(name) => {}
            Some((name, counts)) if points.len() < POINTS_LIMIT => {
                let point = Point::new("diskio").tag("name", name);
                points.push(FIELDS.iter().zip(counts).fold(point, |point, ((field, unit), n)| {
                    point.field(*field, integer(n.saturating_mul(*unit)))
                }));
            }
            _ => files.count_line(),
        }
    }
    points
}

fn parse(line: &str) -> Option<(&str, [u64; FIELDS.len()])> {
    let mut words = line.split_whitespace().skip(2);
    let name = words.next()?;
    let mut counts = [0; FIELDS.len()];
    for count in &mut counts {
        *count = words.next()?.parse().ok()?;
    }
    Some((name, counts))
}

fn is_virtual(name: &str) -> bool {
    ["loop", "ram"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    })
}
