//! One file per subcommand.

mod audit;
mod bench;
mod bridge;
mod classify;
mod completions;
mod demo;
mod error;
mod fields;
mod filter;
mod heatmap;
mod images;
mod journal;
mod json;
mod lab;
mod log_level;
mod man;
mod model;
mod output;
mod overlay;
pub mod progress;
mod reload;
mod remote;
mod results;
mod review;
mod serve;
mod settings;
mod show;
mod sign;
mod specimen;
mod start_error;
mod state;
mod status;
mod tail;
mod tls;
mod tls_error;
mod token;
mod train;
mod try_capture;
mod weeks;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::result::RESEARCH_USE_ONLY;
use error::CliError;

/// Watches a microscope's export folder, finds and classifies the white blood cells in it (leukemic
/// blast or normal) and streams the results over gRPC
#[derive(Debug, Parser)]
#[command(name = "leukd", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Classify(classify::ClassifyArgs),
    Tail(tail::TailArgs),
    Status(status::StatusArgs),
    Results(results::ResultsArgs),
    Fields(fields::FieldsArgs),
    Heatmap(heatmap::HeatMapArgs),
    Specimen(specimen::SpecimenArgs),
    Specimens(sign::SpecimensArgs),
    Review(review::ReviewArgs),
    Reviews(review::ReviewsArgs),
    Sign(sign::SignArgs),
    Model(model::ModelArgs),
    Reload(reload::ReloadArgs),
    Lab(lab::LabArgs),
    Audit(audit::AuditArgs),
    Journal(journal::JournalArgs),
    LogLevel(log_level::LogLevelArgs),
    Check(settings::CheckArgs),
    Config(settings::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
    Bridge(bridge::BridgeArgs),
    Train(train::TrainArgs),
    Tls(tls::TlsArgs),
    Token(token::TokenArgs),
    TryCapture(try_capture::TryCaptureArgs),
}

/// Parses the command line, runs it, and says on standard error what went wrong.
///
/// Exit codes are those of sysexits(3): 0 done, 64 command line, 65 data, 66 no such file or
/// result, 69 daemon out of reach, 70 defect, 74 input or output, 77 not allowed, 78 configuration.
#[must_use]
pub fn run() -> ExitCode {
    match parse().and_then(|command| command.map_or(Ok(()), dispatch)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::OutputClosed) {
                output::remark(&format!("leukd: {error}"));
            }
            error.into()
        }
    }
}

/// The command line's grammar; each help ends with the research-use sentence.
fn grammar() -> clap::Command {
    fn with_notice(command: clap::Command) -> clap::Command {
        command.after_help(RESEARCH_USE_ONLY).mut_subcommands(with_notice)
    }
    with_notice(Cli::command())
}

/// The command; none where help or version was asked for, and shown.
fn parse() -> Result<Option<Command>, CliError> {
    let parsed = grammar().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Some(cli.command)),
        Err(error) if error.use_stderr() => {
            // clap's own "error: " stands after our name.
            let text = error.render().to_string();
            Err(CliError::Usage(text.trim_end().trim_start_matches("error: ").to_owned()))
        }
        Err(help) => {
            help.print().map_err(|error| CliError::output(&error))?;
            Ok(None)
        }
    }
}

fn dispatch(command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Results(args) => results::run(&args),
        Command::Fields(args) => fields::run(&args),
        Command::Heatmap(args) => heatmap::run(&args),
        Command::Specimen(args) => specimen::run(&args),
        Command::Specimens(args) => sign::list(&args),
        Command::Review(args) => review::submit(&args),
        Command::Reviews(args) => review::list(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Lab(args) => lab::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::LogLevel(args) => log_level::run(&args),
        Command::Check(args) => settings::check(&args),
        Command::Config(args) => settings::config(&args),
        Command::Completions(args) => completions::run(&args, grammar()),
        Command::Man(args) => man::run(&args, grammar()),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Bridge(args) => bridge::run(args),
        Command::Train(args) => train::run(&args),
        Command::Tls(args) => tls::run(&args),
        Command::Token(args) => token::run(&args),
        Command::TryCapture(args) => try_capture::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }
}
