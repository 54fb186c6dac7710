//! `system`: load, number of CPUs, uptime.

use undertone_wire::Point;

use super::{files::Files, integer};

/// One point, of what there is.
pub(super) fn read(files: &mut Files) -> Option<Point> {
    let mut point = Point::new("system");
    if let Some(text) = files.read("proc/loadavg") {
        let mut loads = text.split_whitespace().map(|load| load.parse::<f64>().ok());
        for name in ["load1", "load5", "load15"] {
            match loads.next().flatten().filter(|load| load.is_finite()) {
                Some(load) => point = point.field(name, load),
                None => files.count_line(),
            }
        }
    }
    if let Some(text) = files.read("proc/stat") {
        let cpus = text.lines().filter(|line| is_cpu(line)).count();
        if cpus > 0 {
            point = point.field("n_cpus", integer(cpus as u64));
        } else {
            files.count_line();
        }
    }
    if let Some(text) = files.read("proc/uptime") {
        // Whole seconds, as Telegraf has them.
        match text.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok()) {
            Some(seconds) => point = point.field("uptime", integer(seconds)),
            None => files.count_line(),
        }
    }
    (!point.fields.is_empty()).then_some(point)
}

/// Whether a line of `/proc/stat` is that of one CPU.
fn is_cpu(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
