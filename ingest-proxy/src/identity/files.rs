//! Files that hold a key: read only where nobody else could have, written for nobody else to read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    IdentityKey,
    read::{LONGEST, Seeds, read},
};
use crate::error::{Error, ErrorKind};

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;

/// Reads a key from a file.
///
/// # Errors
/// [`ErrorKind::Identity`] if others may read the file, or it holds no key; [`ErrorKind::Storage`] if it can't be
/// read.
pub fn read_file(path: &Path, seeds: Seeds) -> Result<IdentityKey, Error> {
    let failed = |kind| Error::new(kind, format!("read the key in {}", path.display()));
    let unreadable = |error: io::Error| failed(ErrorKind::Storage).because(error);
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & OTHERS != 0 {
        return Err(failed(ErrorKind::Identity).because(format!(
            "others than its owner have access to it (its mode is {mode:04o}), and who has read it can be this \
             service. If you are sure that nobody has: chmod 600, and again"
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    read(&bytes, seeds).map_err(|error| failed(ErrorKind::Identity).because(error))
}

/// Writes a key to a new file, as C tor keeps it, and waits until it is on the disk.
pub(super) fn write_new(path: &Path, key: &IdentityKey) -> Result<(), Error> {
    let failed = |error: io::Error| {
        let what = format!("write the key to {}", path.display());
        Error::new(ErrorKind::Storage, what).because(match error.kind() {
            io::ErrorKind::AlreadyExists => "there is a file already, which stays as it is".into(),
            _ => Box::<dyn std::error::Error + Send + Sync>::from(error),
        })
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(&key.to_c_tor()).and_then(|()| file.sync_all());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let kept = written.and_then(|()| File::open(folder.unwrap_or(Path::new(".")))?.sync_all());
    kept.map_err(|error| {
        // Half a key is of no use to anybody.
        let _ = fs::remove_file(path);
        failed(error)
    })
}
