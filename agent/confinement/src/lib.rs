//! What our programs give up when they start, so that nobody gets it through them. For the binaries: the
//! agent inside another program leaves that program's process as it is.

mod memory;

pub use memory::forbid_core_dumps;
