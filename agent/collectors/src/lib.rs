//! What reads a Linux host, and a local listener that speaks InfluxDB's write API.
//!
//! [`host`] reads `/proc` and the file systems, [`listener`] takes what other programs on this machine
//! write. Both hand over points under the names that Telegraf and InfluxDB clients use.
//!
//! Nothing here knows a schema, a session or Tor, and nothing adds a host's name: what may leave, and
//! under which alias, is decided where the points go.

pub mod host;
pub mod listener;
