//! `leukd reload`: the model bundle again, or another one.

use std::time::Duration;

use super::error::CliError;
use super::output::{Output, clean};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::grpc::proto::ReloadModelRequest;
use crate::grpc::proto::control_client::ControlClient;

/// Load the model bundle again, or another one of the model folder
///
/// The bundle must first pass its own golden inputs. If anything fails, the previous model stays in
/// service. Without --file this is the bundle that `model.bundle` named at the start; a new setting
/// needs a restart.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A file name in the configured model folder [default: the configured bundle]
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// One JSON object (ReloadModelResponse)
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses: the bundle does not work, is not there, or another
/// reload runs.
pub(super) fn run(args: &ReloadArgs) -> Result<(), CliError> {
    remote::runtime()?.block_on(async {
        let mut client = ControlClient::new(args.server.connect().await?);
        let message = ReloadModelRequest { file: args.file.clone().unwrap_or_default() };
        // Reading, compiling and testing a bundle takes seconds; a slow disk, more.
        let request = remote::request(message, Duration::from_secs(300));
        let response = client.reload_model(request).await;
        let response =
            response.map_err(|s| args.server.refused(s.code(), s.message()))?.into_inner();
        let out = Output::new();
        if args.json {
            return out.line(&json::line(&response)?);
        }
        let model = response.model.unwrap_or_default();
        out.line(&format!(
            "{} ({:.12}) from {} serves now; before it {:.12}; took {}",
            clean(&model.id),
            clean(&model.digest),
            clean(&model.origin),
            clean(&response.previous_digest),
            show::duration(response.took.as_ref())
        ))
    })
}
