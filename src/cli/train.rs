//! `leukd train`: hands over to `leukd-train`, a program of its own, so that the daemon never
//! carries the training framework.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use super::error::CliError;

const PROGRAM: &str = "leukd-train";

/// Train, evaluate and export models with the program leukd-train
#[derive(Debug, Clone, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct TrainArgs {
    /// Arguments of leukd-train; --help shows its own help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Replaces this process by `leukd-train`; returns only on failure.
///
/// # Errors
/// [`CliError::Unavailable`]: the program is missing, or does not start.
pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let Some(program) = find() else {
        return Err(CliError::Unavailable(format!(
            "{PROGRAM} is neither beside leukd nor on PATH: build it with \
             `cargo build --release -p leukd-train` and put it beside leukd"
        )));
    };
    let error = Command::new(&program).args(&args.arguments).exec();
    Err(CliError::Unavailable(format!("{} cannot be started: {error}", program.display())))
}

/// The program beside this one, else the first on `PATH`.
fn find() -> Option<PathBuf> {
    let own = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    own.into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
}
