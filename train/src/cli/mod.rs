//! The command line of `leukd-train`: one file a subcommand.

mod data;
mod export;
mod fit;
mod inspect;
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
    /// Show what a data set holds: counts, twins, sizes, broken files, and the split that is made.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Inspect(Box<inspect::InspectArgs>),
    /// Train a network and export one epoch's weights as a model bundle.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Fit(Box<fit::FitArgs>),
    /// Export a run once more: another epoch, or its kernels stored another way.
    ///
    /// For Research Use Only. Not for use in diagnostic procedures.
    Export(Box<export::ExportArgs>),
}

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Fit(args) => fit::run(&args),
        Command::Export(args) => export::run(&args),
    }
}
