//! Trees of files with known numbers, and trees in which everything is odd.

use std::{fs, path::Path};

use rustix::fs::statvfs;
use tempfile::TempDir;
use undertone_wire::{FieldValue, Fields, Point, Tags, line_protocol};

use super::*;

const STAT: &str = "cpu  100 10 50 800 20 5 5 10 40 4\n\
                    cpu0 60 10 30 380 10 5 0 5 40 4\n\
                    cpu1 40 0 20 420 10 0 5 5 0 0\n\
                    intr 1 2 3\nctxt 4\n";
const STAT_LATER: &str = "cpu  150 20 70 890 25 6 9 10 50 9\n\
                          cpu0 60 10 30 380 10 5 0 5 40 4\n\
                          cpu1 90 10 40 510 15 1 9 5 10 5\n\
                          cpu2 1 1 1 1 1 1 1 1 1 1\n\
                          intr 1 2 3\n";
const DEV: &str = "Inter-|   Receive       |  Transmit\n face |bytes packets |bytes packets\n\
    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
  eth0: 1000 10 1 2 0 0 0 3 2000 20 4 5 0 0 0 0\n\
  eth1: 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7\n\
eth0:1:8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8\n";

fn host(files: &[(&str, &str)]) -> (TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    let config = HostConfig { root: folder.path().to_owned(), ..HostConfig::default() };
    (folder, Host::new(config))
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn named(points: &[Point], name: &str) -> Vec<Point> {
    points.iter().filter(|point| point.measurement == name).cloned().collect()
}

fn integers(fields: &[(&str, i64)]) -> Fields {
    fields.iter().map(|(name, n)| ((*name).into(), FieldValue::Integer(*n))).collect()
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[test]
fn system_is_load_cpus_and_uptime() {
    let (_folder, mut host) = host(&[
        ("proc/loadavg", "0.52 1.25 2.00 3/456 7890\n"),
        ("proc/stat", STAT),
        ("proc/uptime", "12345.67 4567.89\n"),
    ]);
    let expected = Point::new("system")
        .field("load1", 0.52)
        .field("load5", 1.25)
        .field("load15", 2.0)
        .field("n_cpus", 2_i64)
        .field("uptime", 12_345_i64);
    assert_eq!(named(&host.read(), "system"), [expected]);
}

#[test]
fn cpu_is_percentages_between_two_reads() {
    let (folder, mut host) = host(&[("proc/stat", STAT)]);
    assert_eq!(named(&host.read(), "cpu"), [], "there was no read before");
    assert_eq!(named(&host.read(), "cpu"), [], "no time has passed");
    write(folder.path(), "proc/stat", STAT_LATER);
    // 180 ticks: 50 user of which 10 for guests, 10 nice of which 5 for guests.
    let point = |cpu: &str| {
        [
            ("usage_user", 40),
            ("usage_nice", 5),
            ("usage_system", 20),
            ("usage_idle", 90),
            ("usage_iowait", 5),
            ("usage_irq", 1),
            ("usage_softirq", 4),
            ("usage_steal", 0),
            ("usage_guest", 10),
            ("usage_guest_nice", 5),
        ]
        .iter()
        .fold(Point::new("cpu").tag("cpu", cpu), |point, (field, ticks)| {
            point.field(*field, 100.0 * f64::from(*ticks) / 180.0)
        })
    };
    // cpu0 stood still, cpu2 is new.
    assert_eq!(named(&host.read(), "cpu"), [point("cpu-total"), point("cpu1")]);
}

#[test]
fn counters_that_go_back_are_no_percentages() {
    let (folder, mut host) = host(&[("proc/stat", STAT_LATER)]);
    host.read();
    write(folder.path(), "proc/stat", STAT);
    assert_eq!(named(&host.read(), "cpu"), []);
    // `iowait` alone goes back, the whole doesn't.
    write(folder.path(), "proc/stat", "cpu 200 10 50 800 10 5 5 10 40 4\n");
    let points = named(&host.read(), "cpu");
    assert_eq!(points[0].fields[&"usage_iowait".into()], FieldValue::Float(0.0));
    assert_eq!(points[0].fields[&"usage_user".into()], FieldValue::Float(100.0 * 100.0 / 90.0));
}

#[test]
fn memory_and_swap_are_in_bytes() {
    let (_folder, mut host) = host(&[
        (
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 300 kB\n\
             SReclaimable: 30 kB\nSwapTotal: 400 kB\nSwapFree: 300 kB\nHugePages_Total: 7\n\
             Hugepagesize: 2048 kB\n",
        ),
        ("proc/vmstat", "pgpgin 1\npswpin 3\npswpout 5\n"),
    ]);
    let points = host.read();
    let mut expected =
        Point::new("mem").field("used_percent", 40.0).field("available_percent", 60.0);
    expected.fields.extend(integers(&[
        ("total", 1_024_000),
        ("free", 204_800),
        ("available", 614_400),
        ("used", 409_600),
        ("buffered", 51_200),
        ("cached", 337_920),
        ("sreclaimable", 30_720),
        ("swap_total", 409_600),
        ("swap_free", 307_200),
        ("huge_pages_total", 7),
        ("huge_page_size", 2_097_152),
    ]));
    assert_eq!(named(&points, "mem"), [expected]);
    let mut expected = Point::new("swap").field("used_percent", 25.0);
    expected.fields.extend(integers(&[
        ("total", 409_600),
        ("free", 307_200),
        ("used", 102_400),
        ("in", 12_288),
        ("out", 20_480),
    ]));
    assert_eq!(named(&points, "swap"), [expected]);
}

#[test]
fn disks_are_mounts_on_a_disk() {
    let (folder, mut host) = host(&[(
        "proc/1/mounts",
        "/dev/sda1 / ext4 rw,relatime 0 0\n\
         proc /proc proc rw 0 0\n\
         tmpfs /run tmpfs rw 0 0\n\
         server:/export /far nfs4 rw 0 0\n\
         overlay /data overlay rw 0 0\n\
         /dev/sdb1 /hidden ext4 rw 0 0\n\
         /dev/mapper/vg-data /hidden xfs ro,noatime 0 0\n\
         /dev/sdc1 /with\\040space vfat rw 0 0\n\
         /dev/sda1 /etc/hosts ext4 rw 0 0\n\
         /dev/sdd1 /odd\\012path ext4 rw 0 0\n\
         nonsense\n",
    )]);
    for path in ["hidden", "with space", "far", "data"] {
        fs::create_dir(folder.path().join(path)).unwrap();
    }
    write(folder.path(), "etc/hosts", "");
    let points = named(&host.read(), "disk");
    let seen: Vec<_> = points.iter().map(|point| point.tags.clone()).collect();
    assert_eq!(
        seen,
        [
            tags(&[("path", "/"), ("device", "sda1"), ("fstype", "ext4"), ("mode", "rw")]),
            tags(&[
                ("path", "/hidden"),
                ("device", "mapper/vg-data"),
                ("fstype", "xfs"),
                ("mode", "ro")
            ]),
            tags(&[
                ("path", "/with space"),
                ("device", "sdc1"),
                ("fstype", "vfat"),
                ("mode", "rw")
            ]),
        ]
    );
    let space = statvfs(folder.path()).unwrap();
    let total = integer(space.f_blocks * space.f_frsize);
    assert!(points.iter().all(|point| point.fields[&"total".into()] == FieldValue::Integer(total)));
    let skipped_before = host.skipped().lines;
    host.read();
    assert_eq!(host.skipped().lines - skipped_before, 2, "the odd path, and nonsense");
}

#[test]
fn diskio_is_what_devices_did() {
    let (_folder, mut host) = host(&[(
        "proc/diskstats",
        "   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11\n\
         8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n\
         8 1 sda1 1 2 3 4\n\
         8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n",
    )]);
    let mut expected = Point::new("diskio").tag("name", "sda");
    expected.fields = integers(&[
        ("reads", 1),
        ("merged_reads", 2),
        ("read_bytes", 1_536),
        ("read_time", 4),
        ("writes", 5),
        ("merged_writes", 6),
        ("write_bytes", 3_584),
        ("write_time", 8),
        ("iops_in_progress", 9),
        ("io_time", 10),
        ("weighted_io_time", 11),
    ]);
    assert_eq!(named(&host.read(), "diskio"), [expected]);
}

#[test]
fn net_is_interfaces_that_are_up() {
    let (_folder, mut host) = host(&[
        ("proc/1/net/dev", DEV),
        ("proc/self/net/dev", "of the container, not of the host"),
        ("sys/class/net/lo/flags", "0x9\n"),
        ("sys/class/net/eth0/flags", "0x1003\n"),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("sys/class/net/eth1/flags", "0x1002\n"),
    ]);
    let mut eth0 = Point::new("net").tag("interface", "eth0");
    eth0.fields = integers(&[
        ("bytes_recv", 1_000),
        ("packets_recv", 10),
        ("err_in", 1),
        ("drop_in", 2),
        ("bytes_sent", 2_000),
        ("packets_sent", 20),
        ("err_out", 4),
        ("drop_out", 5),
        ("speed", 1_000),
    ]);
    let points = named(&host.read(), "net");
    assert_eq!(points[0], eth0);
    assert_eq!(points[1].tags, tags(&[("interface", "eth0:1")]));
    assert_eq!(points.len(), 2);
}

#[test]
fn a_host_that_says_nothing_is_no_error() {
    let (_folder, mut host) = host(&[]);
    assert_eq!(host.read(), []);
    let files = host.skipped().files;
    assert!(files >= 8, "{files}");
    assert_eq!(host.skipped().lines, 0);
    host.read();
    assert_eq!(host.skipped().files, 2 * files);
}

#[test]
fn odd_files_are_left_out_and_counted() {
    let everything = [
        "proc/loadavg",
        "proc/stat",
        "proc/uptime",
        "proc/meminfo",
        "proc/vmstat",
        "proc/1/mounts",
        "proc/1/net/dev",
        "proc/diskstats",
    ];
    let huge = "cpu0 1 2 3 4 5 6 7 8 9 10\n".repeat(100_000);
    for odd in [
        "",
        "\n\n\n",
        "cpu x y z\ncpu\n",
        "-1 -2 -3 -4 -5\n",
        "99999999999999999999999999 NaN inf 1e999\n",
        "MemTotal: 99999999999999999 kB\nMemAvailable: 18446744073709551615\n",
        "a\nb\nc:\n: 1 2 3 4 5 6 7 8 9 10 11 12\n../x: 1 2 3 4 5 6 7 8 9 10 11 12\n",
        "\u{0}\u{1}\u{fffd} \u{7f}\n",
        "1 1 sda 18446744073709551615 1 18446744073709551615 1 1 1 1 1 1 1 1\n",
        &huge,
    ] {
        let (folder, mut host) = host(&everything.map(|path| (path, odd)));
        for point in [host.read(), host.read()].concat() {
            let written = line_protocol::write(&point, &mut String::new());
            assert!(written.is_ok(), "{point:?}: {written:?}");
        }
        // What isn't text, and what isn't a file.
        for path in everything {
            fs::write(folder.path().join(path), b"\xff\xfe cpu\x00\n").unwrap();
        }
        host.read();
        fs::remove_file(folder.path().join("proc/stat")).unwrap();
        fs::create_dir(folder.path().join("proc/stat")).unwrap();
        host.read();
        assert!(host.skipped().files + host.skipped().lines > 0);
    }
}

#[test]
fn only_what_is_chosen_is_read() {
    let (_folder, mut host) = host(&[("proc/stat", STAT), ("proc/loadavg", "1 2 3\n")]);
    host.config = HostConfig {
        cpu: false,
        mem: false,
        swap: false,
        disk: false,
        diskio: false,
        net: false,
        ..host.config
    };
    assert_eq!(host.read().len(), 1);
    assert_eq!(host.skipped().files, 1, "only the uptime was looked for and missed");
}
