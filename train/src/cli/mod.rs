//! The command line of `leukd-train`: one file a subcommand.

mod bundle;
mod completions;
mod data;
mod evaluate;
mod export;
mod fields;
mod fit;
mod inspect;
mod measure;
mod pace;
mod pack;
mod pool;
mod progress;
mod quantize;
mod recipe;
mod run;
mod served;
mod ship;
mod weights;
mod whole;

use clap::{Parser, Subcommand};

/// What every command returns: a message that says what to do.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A run that was stopped and can go on.
#[derive(Debug, thiserror::Error)]
#[error("the run is not over: give the same command with --resume to go on")]
pub(crate) struct Stopped;

/// Trains the models that leukd serves.
///
/// Without a command it does everything: reads the cells, parts them, trains, calibrates, makes
/// smaller forms, measures them on the test side, and writes bundle and report into --out. Each
/// command below is one of these steps, or looks at something.
///
/// For Research Use Only. Not for use in diagnostic procedures.
#[derive(Debug, Parser)]
#[command(version, about, long_about, arg_required_else_help = true)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    // Before the subcommand, which clap takes out as it reads it.
    #[command(flatten)]
    whole: whole::Whole,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a data set holds: counts, twins, sizes, broken files, and the split that is made.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Inspect(Box<inspect::InspectArgs>),
    /// Put all cells, at the network's size, into one file: to carry them to another machine.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Pack(Box<pack::PackArgs>),
    /// Train a network: only this step of the whole.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Fit(Box<fit::FitArgs>),
    /// Time training steps on a device, on random pixels.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Pace(Box<pace::PaceArgs>),
    /// Make a bundle of a run: of another epoch, or with its kernels stored another way.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Export(Box<export::ExportArgs>),
    /// Measure a bundle through the daemon's own engine, with intervals, and write a report.
    ///
    /// Sensitivity, specificity, AUROC and the rest on one side of a split, subject by subject, and
    /// beside them what the cell's area alone tells; then the daemon's own decisions, its doubts
    /// among them, and how many cells and other pictures it doubts. Nothing is fitted on the cells
    /// that are measured. The exit code is 1 where nothing could be measured.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Make smaller forms of an f32 bundle, measure what each costs, and choose the smallest that
    /// costs nothing that matters.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Quantize(Box<quantize::QuantizeArgs>),
    /// Put the figures of several runs together: each tested on cells of its own, by one recipe
    /// (cross-validation).
    ///
    /// Prints each run's figures, their mean, and those of all tested cells together, with
    /// intervals, beside what the cell's area alone tells; fits the calibration of a model that was
    /// trained on everything; writes pooled.json. Refuses runs of different recipes, cells or
    /// protocols, and cells that were tested twice.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Pool(Box<pool::PoolArgs>),
    /// Give a bundle that was trained on everything the cross-validated figures and the calibration
    /// of its siblings.
    ///
    /// The figures must come from runs of the same cells and the same recipe: every setting is
    /// compared but the split, the seed, the device and the minutes. The bundle's manifest and card
    /// then say how many sibling models were measured, by subject and by image, never mixed.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Ship(Box<ship::ShipArgs>),
    /// Measure how well white cells are found in fields of view that people drew boxes or masks on.
    ///
    /// Recall and precision by boxes that overlap by half, overlap (intersection over union) with
    /// masks, each also by size, and the milliseconds a field. Annotations lie beside the pictures:
    /// NAME.xml (PASCAL VOC) beside NAME.jpg or in Annotations/ beside the pictures' folder,
    /// NAME.png in CellMasks/ beside that folder, or NAME_mask.png of three levels beside
    /// NAME_img.png. The exit code is 1 where nothing could be measured.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Fields(Box<fields::FieldsArgs>),
    /// Say what a weights file would bring to the network, and what not.
    ///
    /// Reads Keras' .h5 (backbone alone, or the full model), timm's and torchvision's .safetensors
    /// and .pth, bundles and runs. Exits with an error where `--init` would refuse the file.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Weights(Box<weights::WeightsArgs>),
    /// Print a shell's completion script.
    Completions(completions::CompletionsArgs),
}

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli) -> Outcome {
    let Some(command) = cli.command else {
        return whole::run(&cli.whole);
    };
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Pack(args) => pack::run(&args),
        Command::Fit(args) => fit::run(&args),
        Command::Pace(args) => pace::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Pool(args) => pool::run(&args),
        Command::Ship(args) => ship::run(&args),
        Command::Fields(args) => fields::run(&args),
        Command::Weights(args) => weights::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
