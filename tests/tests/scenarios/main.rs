//! End-to-end scenarios, one binary for all: they share one private Tor network.
//!
//! Each module is a story; its header says what would be a failure and what would not.

mod address;
mod behind_c_tor;
mod containers;
mod counting;
mod databases;
mod early_agent;
mod fixtures;
mod host;
mod https;
mod instruments;
mod link;
mod noninterference;
mod outage;
mod page;
mod refused;
mod restart;
mod shared_folder;
mod socks;
mod standalone;
mod wire_capture;
mod wrong_token;
