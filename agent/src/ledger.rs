//! The ledger: every request that was handed to Tor, byte for byte, chaff included (invariant P9).
//!
//! It never leaves this machine. A request is in it before its first byte goes out, so that nothing is
//! sent that it doesn't hold; what it holds may not have arrived. Bounded to a day and a size. This
//! module alone reads the wall clock, to tell people when something was sent: no time of it is in
//! anything that is sent (P6). What waits and was never sent isn't in it; `preview` shows that.

mod book;
mod disk;
pub(crate) mod fuzzing;
mod memory;
mod record;
mod sent;
mod tap;

#[cfg(test)]
mod tests;

use std::{io, path::Path, time::Duration};

pub(crate) use book::Book;
pub use sent::{Outcome, Sent, SentParcel};
pub(crate) use tap::Tap;

/// How long a request stays at most.
const AGE_LIMIT: Duration = Duration::from_secs(24 * 3_600);
/// How often an agent looks for what is too old; what would become so before the next look goes now.
const LOOK: Duration = Duration::from_secs(300);

/// Where an agent keeps its ledger. Whichever it is, nothing is sent that can't be written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ledger {
    /// In the data folder, with mode 0600: other processes can show it, and it outlives this one. At most
    /// 64 MiB and 24 hours. Unless set otherwise, that of every agent with a data folder.
    Disk,
    /// In this process's memory: at most 4 MiB and 24 hours, gone with the agent.
    Memory,
}

/// What was sent in the last 24 hours by all processes that use this data folder, the oldest first,
/// whether an agent runs or not. Empty if nothing was, or if ledgers are in memory.
///
/// It holds everything in memory, mostly less than 2 MiB in the profile `anonymous`. What was damaged is
/// left out and named in [`Sent::damaged`]. It makes no file, and needs no consent.
///
/// # Errors
/// If the folder or a file in it can't be read.
pub fn read(data_dir: impl AsRef<Path>) -> io::Result<Sent> {
    disk::read(data_dir.as_ref())
}
