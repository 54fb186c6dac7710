//! The binary: arguments → configuration → run until a signal → bounded drain → exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    undertone_cli::Command::parse().run()
}
