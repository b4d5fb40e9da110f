//! The command line of `leukd-train`: one file a subcommand.

mod export;
mod fit;
mod quantize;
mod shared;

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
    /// Make smaller forms of an f32 bundle, measure what each costs, and choose the smallest that costs nothing that
    /// matters.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Quantize(quantize::QuantizeArgs),
}

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Fit(args) => fit::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Quantize(args) => quantize::run(&args),
    }
}
