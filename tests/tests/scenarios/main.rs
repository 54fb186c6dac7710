//! End-to-end scenarios, one binary for all: they share one private Tor network.
//!
//! Each module is a story; its header says what would be a failure and what would not.

mod address;
mod behind_c_tor;
mod circuits;
mod consent;
mod containers;
mod counting;
mod databases;
mod early_agent;
mod fixtures;
mod flood;
mod host;
mod https;
mod identity;
mod instruments;
mod ledger;
mod link;
mod memory;
mod noninterference;
mod outage;
mod page;
mod refused;
mod restart;
mod sessions;
mod shared_folder;
mod socks;
mod standalone;
mod wire_capture;
mod wrong_token;

#[path = "../../../wire/tests/support/go_program.rs"]
#[expect(clippy::expect_used, reason = "what was not compared must not look as if it agreed")]
mod go_program;
