//! The standalone agent: reports on machines of one's own, through Tor, in the profile `fleet`.
//!
//! The file list is the way through it: `command` → `config` → `permission` → `run`, which holds an
//! agent and its `inputs` and is changed by `reload`. `check`, `preview` and `doctor` tell beforehand what
//! it would do, what would go out, and what is in the way; `sent` tells afterwards what did. `schema` is for
//! schema files alone, and `score` for samples of data.

mod bytes;
mod check;
mod client_key;
mod command;
mod config;
mod consent;
mod doctor;
mod inputs;
mod logging;
mod permission;
mod preview;
mod progress;
mod reload;
mod reporter;
mod run;
mod schema;
mod score;
mod sent;
mod signals;
mod table;

pub use command::Command;
