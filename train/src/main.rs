//! The `leukd-train` program.

mod cli;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(terminal).init();
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // sysexits(3): EX_TEMPFAIL, for whoever starts long runs in portions.
            let stopped = error.is::<cli::Stopped>();
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(std::io::stderr(), "leukd-train: {error}");
            if stopped { ExitCode::from(75) } else { ExitCode::FAILURE }
        }
    }
}
