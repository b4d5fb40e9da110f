//! The `leukd` program: parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    leukd::cli::run()
}
