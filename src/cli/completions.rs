//! `leukd completions`: scripts that complete leukd's command line.

use clap_complete::Shell;

use super::error::CliError;
use super::output::Output;

/// Print a completion script, for example: leukd completions bash > /etc/bash_completion.d/leukd
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs it.
///
/// # Errors
/// The output cannot be written to.
pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Result<(), CliError> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "leukd", &mut script);
    Output::new().raw(&script)
}
