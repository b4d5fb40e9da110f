//! `leukd log-level`: what a running daemon logs.

use std::time::Duration;

use super::error::CliError;
use super::output::{Output, clean};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::config::units::Span;
use crate::grpc::proto::control_client::ControlClient;
use crate::grpc::proto::{GetLogLevelRequest, LogLevel, SetLogLevelRequest};

/// Show or change what a running daemon logs
///
/// Without FILTER, shows the filter in force. A change lasts until the daemon's restart, or for
/// --for. Then the configured filter (log.level) is in force again.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LogLevelArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The filter: error, warn, info, debug, trace, or one such as leukd=debug,info
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Go back to the configured filter after this long: 10m, 1h (1s to 24h)
    #[arg(long = "for", value_name = "TIME", requires = "filter")]
    lasts: Option<Span>,
    /// Go back to the configured filter now
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
    /// One JSON object (LogLevel)
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses.
pub(super) fn run(args: &LogLevelArgs) -> Result<(), CliError> {
    let level = remote::runtime()?.block_on(ask(args))?.unwrap_or_default();
    let out = Output::new();
    if args.json {
        return out.line(&json::line(&level)?);
    }
    let filter = clean(&level.filter);
    let configured = clean(&level.configured);
    out.line(&match &level.until {
        Some(until) => format!("{filter} until {}, then {configured}", show::time(Some(until))),
        None if level.filter == level.configured => format!("{filter} (as configured)"),
        None => format!("{filter} until the daemon's restart (configured: {configured})"),
    })
}

async fn ask(args: &LogLevelArgs) -> Result<Option<LogLevel>, CliError> {
    const LIMIT: Duration = Duration::from_secs(30);
    let mut client = ControlClient::new(args.server.connect().await?);
    let answer = if args.filter.is_none() && !args.reset {
        let answer = client.get_log_level(remote::request(GetLogLevelRequest {}, LIMIT)).await;
        answer.map(|answer| answer.into_inner().level)
    } else {
        let message = SetLogLevelRequest {
            filter: args.filter.clone().unwrap_or_default(),
            lasts: args.lasts.and_then(|lasts| prost_types::Duration::try_from(lasts.0).ok()),
        };
        let answer = client.set_log_level(remote::request(message, LIMIT)).await;
        answer.map(|answer| answer.into_inner().level)
    };
    answer.map_err(|status| args.server.refused(status.code(), status.message()))
}
