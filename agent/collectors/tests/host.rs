//! The machine that this runs on, as we read it and as others do.
//!
//! Numbers that move are read by the other before and after us, and have to lie between, give or take what is
//! said at each. Not a failure: a machine without disk statistics, swap or network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::{fs, process::Command};

use undertone_collectors::host::{Host, HostConfig};
use undertone_wire::{FieldValue, Point};

fn read() -> Vec<Point> {
    Host::new(HostConfig::default()).read()
}

fn only(points: &[Point], name: &str) -> Point {
    let mut found = points.iter().filter(|point| point.measurement == name);
    let point = found.next().unwrap_or_else(|| panic!("there is {name}")).clone();
    assert!(found.next().is_none(), "there is one {name}");
    point
}

fn number(point: &Point, field: &str) -> f64 {
    match &point.fields[&field.into()] {
        FieldValue::Float(number) => *number,
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        FieldValue::Integer(number) => *number as f64,
        other => panic!("{field} is {other:?}"),
    }
}

/// What a program says, as words in lines.
fn ask(program: &str, arguments: &[&str]) -> Vec<Vec<String>> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program} starts: {error}"));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn words(path: &str) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn assert_between(what: &str, number: f64, (before, after): (f64, f64), tolerance: f64) {
    let (low, high) = (before.min(after) - tolerance, before.max(after) + tolerance);
    assert!((low..=high).contains(&number), "{what}: {number} is not in {low} … {high}");
}

#[test]
fn system_agrees_with_awk_and_nproc() {
    let awk = || ask("awk", &["{ print $1, $2, $3 }", "/proc/loadavg"]).remove(0);
    let uptime = || words("/proc/uptime")[0].floor();
    let (before, up) = (awk(), uptime());
    let system = only(&read(), "system");
    let (after, up_after) = (awk(), uptime());
    for (at, field) in ["load1", "load5", "load15"].iter().enumerate() {
        let bounds = (before[at].parse().unwrap(), after[at].parse().unwrap());
        assert_between(field, number(&system, field), bounds, 0.0);
    }
    assert_between("uptime", number(&system, "uptime"), (up, up_after), 0.0);
    let cpus = ask("getconf", &["_NPROCESSORS_ONLN"]).remove(0).remove(0);
    assert_eq!(system.fields[&"n_cpus".into()], FieldValue::Integer(cpus.parse().unwrap()));
}

/// `used` has another meaning in some versions of `free`: it is compared by its definition.
#[test]
fn memory_and_swap_agree_with_free() {
    let before = ask("free", &["-b"]);
    let points = read();
    let after = ask("free", &["-b"]);
    let bounds = |row: usize, column: usize| {
        (before[row][column].parse::<f64>().unwrap(), after[row][column].parse::<f64>().unwrap())
    };
    let memory = only(&points, "mem");
    let total = bounds(1, 1);
    assert_between("total", number(&memory, "total"), total, 0.0);
    // Others allocate between the readings.
    let tolerance = total.0 / 50.0;
    assert_between("free", number(&memory, "free"), bounds(1, 3), tolerance);
    assert_between("available", number(&memory, "available"), bounds(1, 6), tolerance);
    let (buffered, cached) = (number(&memory, "buffered"), number(&memory, "cached"));
    assert_between("buff/cache", buffered + cached, bounds(1, 5), tolerance);
    let used = number(&memory, "total") - number(&memory, "available");
    assert_between("used", number(&memory, "used"), (used, used), 0.0);
    let swap = only(&points, "swap");
    for (column, field) in [(1, "total"), (2, "used"), (3, "free")] {
        assert_between(field, number(&swap, field), bounds(2, column), tolerance);
    }
}

/// Idle time is in `/proc/uptime` too, as seconds of all CPUs together. Each reading lies between two
/// of that file's, so that both the time and the idle time are known within bounds.
#[test]
fn cpu_adds_up_and_agrees_with_uptime() {
    let mut host = Host::new(HostConfig::default());
    let uptime = || words("/proc/uptime");
    let begun = (uptime(), host.read(), uptime());
    // Ticks are counted in hundredths of a second: some hundred of them are enough to compare.
    while uptime()[0] - begun.0[0] < 2.0 {
        std::thread::yield_now();
    }
    let ended = (uptime(), host.read(), uptime());
    let cpus = number(&only(&ended.1, "system"), "n_cpus");
    let is_total = |point: &&Point| point.tags.get("cpu").is_some_and(|cpu| cpu == "cpu-total");
    let total = ended.1.iter().find(is_total).unwrap();
    let sum: f64 = total.fields.keys().map(|field| number(total, field)).sum();
    assert_between("sum", sum, (100.0, 100.0), 1.0);
    assert_eq!(
        ended.1.iter().filter(|point| point.measurement == "cpu").count(),
        1 + cpus as usize
    );
    let idle_share = number(total, "usage_idle") / 100.0;
    let seconds = |at: usize| (ended.0[at] - begun.2[at], ended.2[at] - begun.0[at]);
    let (shortest, longest) = seconds(0);
    let (least, most) = seconds(1);
    let slack = 0.1 * cpus;
    let (low, high) = (idle_share * shortest * cpus - slack, idle_share * longest * cpus + slack);
    assert!(
        low <= most && high >= least,
        "idle {low} … {high} s, but {least} … {most} s by uptime"
    );
}

#[test]
fn disks_agree_with_df() {
    let df =
        || ask("df", &["-B1", "--output=target,source,fstype,size,used,avail,itotal,iused,iavail"]);
    let before = df();
    let points = read();
    let after = df();
    let disks = points.iter().filter(|point| point.measurement == "disk");
    let mut compared = 0;
    for disk in disks {
        let row = |rows: &[Vec<String>]| {
            rows.iter().find(|row| row[0] == disk.tags[&"path".into()]).cloned()
        };
        // `df` leaves out what is mounted twice.
        let (Some(before), Some(after)) = (row(&before), row(&after)) else { continue };
        assert_eq!(before[1].replace("/dev/", ""), disk.tags[&"device".into()]);
        assert_eq!(before[2], disk.tags[&"fstype".into()]);
        let total: f64 = before[3].parse().unwrap();
        for (column, field, tolerance) in [
            (3, "total", 0.0),
            (4, "used", total / 100.0),
            (5, "free", total / 100.0),
            (6, "inodes_total", 0.0),
            (7, "inodes_used", 10_000.0),
            (8, "inodes_free", 10_000.0),
        ] {
            // File systems without inodes have a dash.
            let of = |row: &[String]| row[column].parse().unwrap_or(0.0);
            assert_between(field, number(disk, field), (of(&before), of(&after)), tolerance);
        }
        compared += 1;
    }
    assert!(compared > 0 || before.iter().all(|row| row[0] != "/"), "the root is a disk");
}

/// The kernel says the same, one file a number, in `/sys`.
#[test]
fn counters_agree_with_sys() {
    let statistic = |interface: &str, name: &str| {
        words(&format!("/sys/class/net/{interface}/statistics/{name}"))[0]
    };
    let fields = [
        ("bytes_recv", "rx_bytes"),
        ("bytes_sent", "tx_bytes"),
        ("packets_recv", "rx_packets"),
        ("packets_sent", "tx_packets"),
        ("err_in", "rx_errors"),
        ("err_out", "tx_errors"),
        ("drop_out", "tx_dropped"),
    ];
    let first = read();
    for net in first.iter().filter(|point| point.measurement == "net") {
        let interface = net.tags[&"interface".into()].as_str();
        assert_ne!(interface, "lo");
        for (field, name) in fields {
            let before = statistic(interface, name);
            let again = read();
            let net =
                again.iter().find(|point| point.tags.get("interface") == net.tags.get("interface"));
            let bounds = (before, statistic(interface, name));
            assert_between(field, number(net.unwrap(), field), bounds, 0.0);
        }
    }
    for disk in first.iter().filter(|point| point.measurement == "diskio") {
        let stat = format!("/sys/class/block/{}/stat", disk.tags[&"name".into()]);
        let before = words(&stat);
        let again = read();
        let after = words(&stat);
        let disk =
            again.iter().find(|point| point.tags.get("name") == disk.tags.get("name")).unwrap();
        for (column, field, unit) in [
            (0, "reads", 1.0),
            (2, "read_bytes", 512.0),
            (4, "writes", 1.0),
            (6, "write_bytes", 512.0),
        ] {
            let bounds = (before[column] * unit, after[column] * unit);
            assert_between(field, number(disk, field), bounds, 0.0);
        }
    }
}

#[test]
fn nothing_says_whose_host_it_is() {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    for point in read() {
        assert_eq!(point.timestamp, None);
        assert!(!point.tags.contains_key("host"));
        assert!(point.tags.values().all(|value| *value != name), "{point:?}");
    }
}
