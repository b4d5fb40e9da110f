//! `leukd demo`: the whole way from a synthetic capture to a streamed result, in a temporary folder.

use super::error::CliError;

/// Show leukd at work on synthetic cells: a temporary export folder, a daemon, a client
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DemoArgs {
    /// How many cells
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) cells: u32,
    /// The seed of the synthetic cells
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
///
/// # Errors
/// What ends the daemon.
pub(super) fn run(args: &DemoArgs) -> Result<(), CliError> {
    let DemoArgs { cells, seed: _, json: _ } = args;
    Err(CliError::Software(format!("demo is not built yet ({cells} cells)")))
}
