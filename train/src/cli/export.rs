//! `leukd-train export`.

use std::path::PathBuf;

use clap::Args;
use leukd_train::fit::Checkpoint;

use super::Outcome;
use super::shared::{BundleArgs, DataArgs, run_export};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The run's folder.
    checkpoint: PathBuf,
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    bundle: BundleArgs,
}

pub(super) fn run(args: &ExportArgs) -> Outcome {
    let checkpoint = Checkpoint::open(&args.checkpoint);
    let split = args.data.split(&checkpoint.state()?.recipe.preprocessing)?;
    run_export(&checkpoint, &split, &args.bundle, &args.out)
}
