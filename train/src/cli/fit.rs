//! `leukd-train fit`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leukd::cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd_train::fit::{Checkpoint, Recipe, Start, fit};

use super::Outcome;
use super::shared::{BundleArgs, DataArgs, run_export};

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// The run's folder: state, weights and the model bundle.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    bundle: BundleArgs,
    /// Width and height of the network's input, in pixels.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=1024))]
    size: u32,
    /// Cut this many pixels square from the middle of each image first; 0 for the whole image.
    #[arg(long, default_value_t = 0)]
    window: u32,
    /// How often as many cells are drawn as there are.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Cells a step.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=1024))]
    batch: u32,
    /// Seeds the weights, the order and the augmentation.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The peak of the learning rate.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// The last block's chance of being skipped in training.
    #[arg(long, default_value_t = 0.2)]
    drop_connect: f64,
    /// Go on where the run in --out stopped.
    #[arg(long, conflicts_with = "init_from")]
    resume: bool,
    /// End after this many minutes, with the learning rate run down in time.
    #[arg(long, value_name = "MINUTES")]
    max_minutes: Option<f64>,
    /// Begin with the last weights of another run's folder.
    #[arg(long, value_name = "CHECKPOINT")]
    init_from: Option<PathBuf>,
}

pub(super) fn run(args: &FitArgs) -> Outcome {
    let checkpoint = Checkpoint::open(&args.out);
    let start = match (&args.init_from, args.resume) {
        (Some(other), _) => Start::From(other.clone()),
        (None, true) => Start::Resume,
        (None, false) => Start::Fresh,
    };
    if start != Start::Resume && checkpoint.exists() {
        return Err(format!(
            "{} holds a run already: give --resume to go on with it, or another --out",
            args.out.display()
        )
        .into());
    }
    let recipe = Recipe {
        epochs: args.epochs,
        batch: args.batch as usize,
        seed: args.seed,
        learning_rate: args.learning_rate,
        drop_connect: args.drop_connect,
        max_minutes: args.max_minutes,
        ..Recipe::b3(Preprocessing {
            window: (args.window > 0).then_some(args.window),
            size: args.size,
            filter: Filter::Bilinear,
            range: Range::Bytes,
            layout: Layout::Nchw,
        })
    };
    let split = args.data.split(&recipe.preprocessing)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", split.in_words())?;
    fit(&recipe, &split, &checkpoint, &start, |line| {
        // A closed pipe must not end a long training.
        let _ = writeln!(std::io::stdout(), "{line}");
    })?;
    run_export(&checkpoint, &split, &args.bundle, &args.out.join("model.onnx"))
}
