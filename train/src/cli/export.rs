//! `leukd-train export`.

use std::path::PathBuf;

use clap::Args;
use leukd_train::fit::Checkpoint;

use super::Outcome;
use super::bundle::{self, BundleArgs, Weights};
use super::data::DataArgs;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The run's folder.
    run: PathBuf,
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    bundle: BundleArgs,
    /// How the bundle stores kernels; the daemon always computes in f32.
    #[arg(long, value_enum, default_value = "f32")]
    weights: Weights,
}

pub(super) fn run(args: &ExportArgs) -> Outcome {
    let checkpoint = Checkpoint::open(&args.run);
    let split = args.data.split(&checkpoint.state()?.recipe.preprocessing())?;
    bundle::export(&checkpoint, &split, &args.bundle, args.weights, &args.out)
}
