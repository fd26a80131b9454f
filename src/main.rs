//! The `statescope` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    statescope::cli::run().into()
}
