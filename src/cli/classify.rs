//! `leukd classify`: images on disk, without a daemon.

use std::path::PathBuf;

use super::error::CliError;

/// Classify image files here and now, without the daemon; nothing is stored
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClassifyArgs {
    /// Images, or folders of images
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(super) paths: Vec<PathBuf>,
    /// Classify with this bundle instead of the one inside the binary
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
///
/// # Errors
/// No such file; a bundle that does not work.
pub(super) fn run(args: &ClassifyArgs) -> Result<(), CliError> {
    let ClassifyArgs { paths, model: _, json: _ } = args;
    Err(CliError::Software(format!("classify is not built yet ({} paths)", paths.len())))
}
