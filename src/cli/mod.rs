//! One file per subcommand.

use std::process::ExitCode;

/// Parses the command line and runs it.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
