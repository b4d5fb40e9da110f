//! What several commands ask for.

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};
use leukd::model::manifest::Precision;
use leukd::result::RESEARCH_USE_ONLY;
use leukd_train::dataset::Split;
use leukd_train::export;
use leukd_train::fit::{Checkpoint, Kept};

use super::Outcome;
pub(super) use super::data::DataArgs;

/// How kernels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Weights {
    /// As they are: 43 MB for B3.
    F32,
    /// Half precision: 22 MB.
    F16,
    /// One byte each with one scale an output channel: 12 MB.
    Int8,
}

impl From<Weights> for Precision {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::F32 => Self::F32,
            Weights::F16 => Self::F16,
            Weights::Int8 => Self::Int8,
        }
    }
}

/// Which epoch's weights are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Keep {
    /// Of the epoch with the highest balanced accuracy on the validation cells.
    Best,
    /// Of the last one: the validation cells choose no epoch.
    Last,
}

/// What the bundle needs besides the weights.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// How the bundle stores kernels; the daemon always computes in f32.
    #[arg(long, value_enum, default_value = "f16")]
    pub(super) weights: Weights,
    /// Which epoch's weights: the best by balanced accuracy on the validation cells, or the last.
    #[arg(long, value_enum, default_value = "best")]
    pub(super) keep: Keep,
    /// The model's name: 1 to 64 letters, digits, `.`, `-`, `_`.
    #[arg(long, default_value = "efficientnet-b3")]
    pub(super) id: String,
}

/// Exports a run and says what came of it.
pub(super) fn run_export(
    checkpoint: &Checkpoint,
    split: &Split,
    args: &BundleArgs,
    path: &Path,
) -> Outcome {
    let kept = match args.keep {
        Keep::Best => Kept::Best,
        Keep::Last => Kept::Last,
    };
    let exported = export::export(checkpoint, split, &args.id, args.weights.into(), kept)?;
    export::write(path, &exported.bytes)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}: {} bytes", path.display(), exported.bytes.len())?;
    for (name, value) in exported.figures.named() {
        writeln!(out, "  {name} {value:.4}")?;
    }
    writeln!(out, "  the daemon's engine differs by {:.1e} at most", exported.difference)?;
    writeln!(out, "{RESEARCH_USE_ONLY}")?;
    Ok(())
}
