//! The binary: arguments → configuration → run until a signal → bounded drain → exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The keys of sessions are in this process's memory, and nowhere else.
    undertone_confinement::forbid_core_dumps();
    undertone_cli::Command::parse().run()
}
