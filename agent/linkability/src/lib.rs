//! How well the sessions of one agent can be joined, measured by trying to.
//!
//! Simulated agents run the real gate, session and schedule; attackers get all that an ingest side ever sees
//! and pair each session with the one that they hold for the same agent's before it.

pub mod advice;
pub mod attack;
pub mod coarseness;
pub mod crowd;
pub mod evidence;
pub mod ideal;
pub mod leak;
pub mod measure;
pub mod pairs;
pub mod sample;
pub mod score;
pub mod seen;
pub mod workload;
