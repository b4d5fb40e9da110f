//! The command line of `leukd-train`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use leukd::cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd::model::manifest::Precision;
use leukd::result::RESEARCH_USE_ONLY;
use leukd_train::dataset::{Dataset, DatasetError, Split};
use leukd_train::export;
use leukd_train::fit::{Checkpoint, Kept, Recipe, Start, fit};

/// Trains the models that leukd serves.
///
/// For Research Use Only. Not for use in diagnostic procedures.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network and export one epoch's weights as a model bundle.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Fit(Box<FitArgs>),
    /// Export a run once more: another epoch, or its kernels stored another way.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Export(ExportArgs),
}

/// How kernels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
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
enum Keep {
    /// Of the epoch with the highest balanced accuracy on the validation cells.
    Best,
    /// Of the last one: the validation cells choose no epoch.
    Last,
}

/// What the bundle needs besides the weights.
#[derive(Debug, Args)]
struct BundleArgs {
    /// How the bundle stores kernels; the daemon always computes in f32.
    #[arg(long, value_enum, default_value = "f16")]
    weights: Weights,
    /// Which epoch's weights: the best by balanced accuracy on the validation cells, or the last.
    #[arg(long, value_enum, default_value = "best")]
    keep: Keep,
    /// The model's name: 1 to 64 letters, digits, `.`, `-`, `_`.
    #[arg(long, default_value = "efficientnet-b3")]
    id: String,
}

/// Which images, and who is held out.
#[derive(Debug, Args)]
struct DataArgs {
    /// Images in C-NMC's layout: {all,hem}/UID_*.bmp, directly or in folders fold_*.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Subjects to validate on, divided by commas; all others are trained on.
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',', required = true)]
    hold_out: Vec<String>,
}

impl DataArgs {
    fn split(&self, preprocessing: &Preprocessing) -> Result<Split, DatasetError> {
        let dataset = Dataset::read(&self.data, preprocessing)?;
        for file in &dataset.broken {
            tracing::warn!(path = %file.path.display(), reason = file.reason, "left out");
        }
        dataset.split(&self.hold_out)
    }
}

#[derive(Debug, Args)]
struct ExportArgs {
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

#[derive(Debug, Args)]
struct FitArgs {
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

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    match cli.command {
        Command::Fit(args) => run_fit(&args),
        Command::Export(args) => {
            let checkpoint = Checkpoint::open(&args.checkpoint);
            let split = args.data.split(&checkpoint.state()?.recipe.preprocessing)?;
            run_export(&checkpoint, &split, &args.bundle, &args.out)
        }
    }
}

fn run_fit(args: &FitArgs) -> Result<(), Box<dyn std::error::Error>> {
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

fn run_export(
    checkpoint: &Checkpoint,
    split: &Split,
    args: &BundleArgs,
    path: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
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
