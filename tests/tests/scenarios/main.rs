//! End-to-end scenarios, one binary for all: they share one private Tor network.
//!
//! Each module is a story; its header says what would be a failure and what would not.

mod counting;
mod fixtures;
