//! How a run becomes a bundle.

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::manifest::Precision;
use leukd_train::dataset::{Protocol, Split};
use leukd_train::export::{self, Naming};
use leukd_train::fit::Checkpoint;
use leukd_train::recipe::Kept;

use super::Outcome;

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
    /// Of the epoch that did best on the validation cells.
    Best,
    /// Of the last one: the validation cells choose no epoch.
    Last,
}

impl From<Keep> for Kept {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Best => Self::Best,
            Keep::Last => Self::Last,
        }
    }
}

/// What the bundle needs besides the weights.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// Which epoch's weights; as the recipe says where it is not given.
    #[arg(long, value_enum)]
    pub(super) keep: Option<Keep>,
    /// The model's name: 1 to 64 letters, digits, `.`, `-`, `_`.
    #[arg(long, default_value = "efficientnet-b3", value_parser = id)]
    pub(super) id: String,
    /// The training data in words, with their source, for the bundle's card. Default: where they
    /// were read from.
    #[arg(long, value_name = "TEXT")]
    pub(super) about_data: Option<String>,
}

/// As the manifest takes it: better said now than after the training.
fn id(text: &str) -> Result<String, String> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(letter) {
        return Ok(text.to_owned());
    }
    Err("it must be 1 to 64 letters, digits, `.`, `-`, `_`".to_owned())
}

/// Exports a run and says what came of it.
pub(super) fn export(
    checkpoint: &Checkpoint,
    split: &Split,
    args: &BundleArgs,
    weights: Weights,
    path: &Path,
) -> Outcome {
    let kept = args.keep.map_or(checkpoint.state()?.recipe.choice.keep, Kept::from);
    let data = args.about_data.clone();
    let data = data.unwrap_or_else(|| format!("the cells of {}", split.source.display()));
    let naming = Naming { id: &args.id, data: &data };
    let exported = export::export(checkpoint, split, naming, weights.into(), kept)?;
    let (bytes, referred) = export::referred(&exported.bytes, split)?;
    export::write(path, &bytes)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{}: {} bytes, of the {} epoch",
        path.display(),
        bytes.len(),
        match kept {
            Kept::Best => "best",
            Kept::Last => "last",
        }
    )?;
    let validation = match split.protocol {
        Protocol::Everything => "on the validation cells: no accuracy on new ones",
        Protocol::Image | Protocol::Subject => "validation",
    };
    for (name, value) in exported.figures.named() {
        writeln!(out, "  {name} {value:.4} ({validation})")?;
    }
    writeln!(out, "  the daemon's engine differs by {:.1e} at most", exported.difference)?;
    writeln!(out, "  unlike its training cells: {}", referred.in_words())?;
    writeln!(out, "{RESEARCH_USE_ONLY}")?;
    Ok(())
}
