//! End-to-end scenarios, one binary for all: they share one private Tor network.
//!
//! Each module is a story; its header says what would be a failure and what would not.

mod address;
mod behind_c_tor;
mod counting;
mod early_agent;
mod fixtures;
mod host;
mod instruments;
mod noninterference;
mod outage;
mod refused;
mod restart;
mod shared_folder;
mod socks;
mod standalone;
mod wire_capture;
