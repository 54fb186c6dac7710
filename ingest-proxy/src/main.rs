//! The binary: arguments → configuration → build → run until a signal → bounded drain → exit code.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match command::Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("undertone-ingest-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
