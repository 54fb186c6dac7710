//! The binary: arguments → configuration → build → run until a signal → bounded drain → exit code.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The onion service's keys are in this process's memory.
    undertone_confinement::forbid_core_dumps();
    match command::Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("undertone-ingest-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
