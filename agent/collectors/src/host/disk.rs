//! `disk`: space and inodes of mounted file systems.
//!
//! Left out are file systems that aren't on a disk, and those of other machines and of programs: asking
//! a server that is gone would block for ever.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfs, statvfs};
use undertone_wire::Point;

use super::{POINTS_LIMIT, files::Files, integer, percent};

/// Pseudo file systems; the first six are those that Telegraf's configuration leaves out.
const PSEUDO: [&str; 31] = [
    "tmpfs",
    "devtmpfs",
    "devfs",
    "iso9660",
    "aufs",
    "squashfs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "none",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// File systems that a server or a program answers for.
const REMOTE: [&str; 11] =
    ["9p", "afs", "ceph", "cifs", "fuse", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"];

/// A mounted file system.
struct Mount<'a> {
    device: Cow<'a, str>,
    path: PathBuf,
    kind: &'a str,
    mode: &'static str,
}

/// A point for each file system on a disk.
pub(super) fn read(files: &mut Files) -> Vec<Point> {
    let Some(text) = files.read_own("mounts") else { return Vec::new() };
    // By path: what is mounted over something hides it.
    let mut mounts = BTreeMap::new();
    for line in text.lines() {
        match parse(line) {
            Some(mount) => drop(mounts.insert(mount.path.clone(), mount)),
            None => files.count_line(),
        }
    }
    let mut points = Vec::new();
    for mount in mounts.into_values().filter(Mount::is_on_disk) {
        let place = files.locate(&mount.path);
        // Containers have files mounted into them; those are no file systems.
        if !place.is_dir() {
            continue;
        }
        match statvfs(&place) {
            Ok(_) if points.len() == POINTS_LIMIT => files.count_line(),
            Ok(space) => points.extend(point(&mount, &space)),
            Err(_) => files.count_file(),
        }
    }
    points
}

impl Mount<'_> {
    fn is_on_disk(&self) -> bool {
        // The root of a container is an overlay, and all the disk that it has.
        let is_container = self.kind == "overlay" && self.path == Path::new("/");
        is_container
            || !(PSEUDO.contains(&self.kind)
                || REMOTE.contains(&self.kind)
                || self.kind.starts_with("fuse."))
    }
}

fn point(mount: &Mount<'_>, space: &StatVfs) -> Option<Point> {
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    let total = bytes(space.f_blocks);
    if total == 0 {
        return None;
    }
    // Free is what a user may have, used is what nobody else can: what is kept for root is neither.
    let free = bytes(space.f_bavail);
    let used = bytes(space.f_blocks.saturating_sub(space.f_bfree));
    let inodes_used = space.f_files.saturating_sub(space.f_ffree);
    let point = Point::new("disk")
        .tag("path", mount.path.to_string_lossy())
        .tag("device", mount.device.replace("/dev/", ""))
        .tag("fstype", mount.kind)
        .tag("mode", mount.mode)
        .field("total", integer(total))
        .field("free", integer(free))
        .field("used", integer(used))
        .field("used_percent", percent(used, used.saturating_add(free)))
        .field("inodes_total", integer(space.f_files))
        .field("inodes_free", integer(space.f_ffree))
        .field("inodes_used", integer(inodes_used))
        .field("inodes_used_percent", percent(inodes_used, space.f_files));
    Some(point)
}

/// A line of `/proc/mounts` (`man 5 fstab`).
fn parse(line: &str) -> Option<Mount<'_>> {
    let mut words = line.split(' ');
    let device = unescape(words.next()?);
    let path = unescape(words.next()?);
    let kind = words.next().filter(|kind| !kind.is_empty())?;
    let mut options = words.next()?.split(',');
    // A control character can't be a tag's: such a path is nobody's choice.
    if device.replace("/dev/", "").is_empty()
        || !path.starts_with('/')
        || format!("{device}{path}").contains(|c: char| c.is_ascii_control())
    {
        return None;
    }
    let mode = if options.any(|option| option == "rw") { "rw" } else { "ro" };
    Some(Mount { device, path: PathBuf::from(path.into_owned()), kind, mode })
}

/// Undoes `\040` and its like: spaces, tabs, line breaks and backslashes are written so.
fn unescape(word: &str) -> Cow<'_, str> {
    if !word.contains('\\') {
        return Cow::Borrowed(word);
    }
    let mut plain = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                plain.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unescaped() {
        for (word, expected) in [
            ("/plain", "/plain"),
            (r"/with\040space", "/with space"),
            (r"\134\011end\040", "\\\tend "),
            (r"/not\04", r"/not\04"),
            (r"/not\999é", r"/not\999é"),
            ("/é\\é", "/é\\é"),
        ] {
            assert_eq!(unescape(word), expected, "{word}");
        }
    }
}
