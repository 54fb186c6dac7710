//! `mem` and `swap`: memory and swap space, in bytes.

use std::collections::HashMap;

use undertone_wire::Point;

use super::{files::Files, integer, percent};

/// Fields of `mem` that are lines of `/proc/meminfo`.
const FIELDS: [(&str, &str); 28] = [
    ("total", "MemTotal"),
    ("free", "MemFree"),
    ("buffered", "Buffers"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("commit_limit", "CommitLimit"),
    ("committed_as", "Committed_AS"),
    ("dirty", "Dirty"),
    ("high_free", "HighFree"),
    ("high_total", "HighTotal"),
    ("huge_page_size", "Hugepagesize"),
    ("huge_pages_free", "HugePages_Free"),
    ("huge_pages_total", "HugePages_Total"),
    ("low_free", "LowFree"),
    ("low_total", "LowTotal"),
    ("mapped", "Mapped"),
    ("page_tables", "PageTables"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("swap_cached", "SwapCached"),
    ("swap_free", "SwapFree"),
    ("swap_total", "SwapTotal"),
    ("vmalloc_total", "VmallocTotal"),
    ("vmalloc_used", "VmallocUsed"),
    ("write_back", "Writeback"),
    ("write_back_tmp", "WritebackTmp"),
];

/// Telegraf takes a page for this, on all machines.
const PAGE_BYTES: u64 = 4096;

/// `mem`. What a kernel doesn't say is left out, where Telegraf writes 0.
pub(super) fn read_mem(files: &mut Files) -> Option<Point> {
    let text = files.read("proc/meminfo")?;
    let memory = parse(&text, files);
    let Some(&total) = memory.get("MemTotal") else {
        files.count_line();
        return None;
    };
    let line = |name| memory.get(name).copied().unwrap_or(0);
    let cached = line("Cached").saturating_add(line("SReclaimable"));
    // Linux before 3.14 has no estimate of its own.
    let estimate = || line("MemFree").saturating_add(cached);
    let available = memory.get("MemAvailable").copied().unwrap_or_else(estimate);
    let used = total.saturating_sub(available);
    let point = Point::new("mem")
        .field("available", integer(available))
        .field("available_percent", percent(available, total))
        .field("cached", integer(cached))
        .field("used", integer(used))
        .field("used_percent", percent(used, total));
    Some(FIELDS.iter().fold(point, |point, (field, name)| match memory.get(name) {
        Some(bytes) => point.field(*field, integer(*bytes)),
        None => point,
    }))
}

/// `swap`: its space, and what went in and out since the start.
pub(super) fn read_swap(files: &mut Files) -> Option<Point> {
    let text = files.read("proc/meminfo")?;
    let memory = parse(&text, files);
    let (Some(&total), Some(&free)) = (memory.get("SwapTotal"), memory.get("SwapFree")) else {
        files.count_line();
        return None;
    };
    let used = total.saturating_sub(free);
    let mut point = Point::new("swap")
        .field("total", integer(total))
        .field("free", integer(free))
        .field("used", integer(used))
        .field("used_percent", percent(used, total));
    for line in files.read("proc/vmstat").iter().flat_map(|text| text.lines()) {
        let Some((name, pages)) = line.split_once(' ') else { continue };
        let field = match name {
            "pswpin" => "in",
            "pswpout" => "out",
            _ => continue,
        };
        match pages.parse::<u64>() {
            Ok(pages) => point = point.field(field, integer(pages.saturating_mul(PAGE_BYTES))),
            Err(_) => files.count_line(),
        }
    }
    Some(point)
}

/// Lines like `MemTotal:  16 kB`, in bytes; numbers of huge pages have no unit.
fn parse<'a>(text: &'a str, files: &mut Files) -> HashMap<&'a str, u64> {
    let mut memory = HashMap::new();
    for line in text.lines() {
        let entry = line.split_once(':').and_then(|(name, rest)| {
            let mut words = rest.split_whitespace();
            let number: u64 = words.next()?.parse().ok()?;
            let unit = if words.next() == Some("kB") { 1024 } else { 1 };
            Some((name, number.checked_mul(unit)?))
        });
        match entry {
            Some((name, bytes)) => drop(memory.insert(name, bytes)),
            None => files.count_line(),
        }
    }
    memory
}
