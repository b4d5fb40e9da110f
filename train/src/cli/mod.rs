//! The command line of `leukd-train`: one file a subcommand.

mod export;
mod fit;
mod shared;
mod weights;

use clap::{Parser, Subcommand};

/// What every command returns: a message that says what to do.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

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
    Fit(Box<fit::FitArgs>),
    /// Export a run once more: another epoch, or its kernels stored another way.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Export(export::ExportArgs),
    /// Say what a weights file would bring to the network, and what not.
    ///
    /// Reads Keras' .h5 (backbone alone, or the full model), timm's and torchvision's .safetensors
    /// and .pth, bundles and runs. Exits with an error where `--init` would refuse the file.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Weights(weights::WeightsArgs),
}

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Fit(args) => fit::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Weights(args) => weights::run(&args),
    }
}
