//! `leukd-train completions`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Outcome;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "leukd-train", &mut script);
    // In one piece, and with an error where clap's own writing would panic: on a closed pipe.
    std::io::stdout().write_all(&script)?;
    Ok(())
}
