//! Faults exactly where they hurt: at each system call that changes a file on the way of a parcel.
//!
//! A recording lists the calls ([`steps`]). Then, for each of them, the program is started anew and killed there, or
//! told that the disk is full or broken ([`fault`], by strace), or the machine loses its power there ([`power`], by a
//! preloaded library that keeps files as of their last fsync). Afterwards [`check`] holds what was answered against
//! what the files say, by the `sqlite3` program.
//!
//! A failure: a parcel that was answered and isn't there, one that is there twice, a process that ends by a fault of
//! the disk while it runs, one that can't be started again, a step that was never hit. Not a failure: a parcel
//! without an answer that is there already (it is sent again, and is there once).

pub mod check;
pub mod fault;
pub mod parcels;
pub mod power;
pub mod situation;
pub mod steps;
pub mod subject;
pub mod suite;
pub mod table;
