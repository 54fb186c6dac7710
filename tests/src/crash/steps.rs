//! The steps of a path: calls that change a file, as strace shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The system calls that change what a disk holds.
pub const CALLS: &str = "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,\
    unlink,unlinkat,ftruncate,truncate,fallocate,openat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmod,\
    fchmodat,copy_file_range,sendfile";

/// A call on a file: strace counts each, in each thread, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The file, relative to the folder under test; empty: the folder itself.
    pub file: String,
    /// The system call.
    pub call: String,
    /// The how manyth of its kind on this file.
    pub number: usize,
}

/// All steps in what strace wrote of a run, with `-f -y`.
pub fn read(trace: &str, folder: &Path) -> BTreeSet<Step> {
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut steps = BTreeSet::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        // The end of a call that was begun before, a signal, an end of a thread.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        // What is renamed is known by its first name.
        let named = if name.starts_with("rename") { 1 } else { usize::MAX };
        for file in files(arguments, folder).into_iter().take(named) {
            let key = (thread.to_owned(), file.clone(), name.to_owned());
            let count = counts.entry(key).or_default();
            *count += 1;
            // One that only reads changes nothing.
            if name != "openat" || arguments.contains("O_CREAT") {
                steps.insert(Step { file, call: name.to_owned(), number: *count });
            }
        }
    }
    steps
}

/// The files in the folder that a call's arguments name, each once.
fn files(arguments: &str, folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let mut files = Vec::new();
    let mut rest = arguments;
    while let Some(at) = rest.find(&folder) {
        rest = &rest[at + folder.len()..];
        let end = rest.find(['"', '>', '(']).unwrap_or(rest.len());
        let file = &rest[..end];
        if file.is_empty() || file.starts_with('/') {
            let file = file.trim_start_matches('/').trim_end_matches('/').to_owned();
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_file_and_thread() {
        let trace = "\
7 openat(AT_FDCWD</>, \"/t/data/q\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3</t/data/q>
7 pwrite64(3</t/data/q>, \"\"..., 24, 0) = 24
8 pwrite64(3</t/data/q>, \"\"..., 24, 0 <unfinished ...>
7 openat(AT_FDCWD</>, \"/t/data/q\", O_RDONLY) = 4</t/data/q>
8 <... pwrite64 resumed>) = 24
8 pwrite64(3</t/data/q>, \"\"..., 24, 0) = 24
8 rename(\"/t/data/a.new\", \"/t/data/a\") = 0
8 fsync(4</t/data>) = 0
8 write(5</t/data2/q>, \"\"..., 24) = 24
8 +++ exited with 0 +++";
        let steps: Vec<String> = read(trace, Path::new("/t/data"))
            .into_iter()
            .map(|step| format!("{} {} {}", step.file, step.call, step.number))
            .collect();
        let expected = [" fsync 1", "a.new rename 1", "q openat 1", "q pwrite64 1", "q pwrite64 2"];
        assert_eq!(steps, expected);
    }
}
