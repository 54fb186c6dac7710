//! The harness of the end-to-end tests and of the demo: real servers on free loopback ports, in
//! temporary folders, gone when the process is.
//!
//! [`tor_network`], [`influxdb1`] and [`influxdb2`] are the real things; [`capture`] is a tap that requests are read
//! from byte by byte; [`janitor`] cleans up however a run ends.
//! [`controls`] takes mechanisms out, to see that tests of invariants fail; [`crash`] kills programs at each of their
//! system calls, and takes from files what was not synced.

pub mod browser;
pub mod capture;
pub mod certificates;
pub mod controls;
pub mod crash;
pub mod file_server;
pub mod folder;
pub mod http;
pub mod influxdb1;
pub mod influxdb2;
pub mod janitor;
pub mod link;
pub mod observed;
pub mod ports;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod recorder;
pub mod telegraf;
pub mod tor_network;
pub mod trial;
pub mod wait;
pub mod windows;
