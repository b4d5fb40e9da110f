//! `leukd model`: the card of the model in service, or of a bundle.

use std::path::PathBuf;
use std::time::Duration;

use super::error::CliError;
use super::output::{Output, clean};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::rpc::proto::GetModelRequest;
use crate::rpc::proto::control_client::ControlClient;

/// Show or verify a model
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum ModelCommand {
    /// Show the card of the model in service, or of a bundle
    Show {
        /// A bundle; without it, the daemon is asked
        file: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON object (Model)
        #[arg(long)]
        json: bool,
    },
    /// Load a bundle and test it on its own golden inputs
    Verify {
        /// The bundle
        file: PathBuf,
    },
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached; no model serves; the bundle cannot be read or does not work.
pub(super) fn run(args: &ModelArgs) -> Result<(), CliError> {
    match &args.command {
        ModelCommand::Show { file: None, server, json } => served(server, *json),
        ModelCommand::Show { file: Some(file), .. } | ModelCommand::Verify { file } => {
            let file = file.display();
            Err(CliError::Software(format!("{file}: bundles cannot be read yet")))
        }
    }
}

fn served(server: &ServerArgs, as_json: bool) -> Result<(), CliError> {
    let model = remote::runtime()?.block_on(async {
        let mut client = ControlClient::new(server.connect().await?);
        let response =
            client.get_model(remote::request(GetModelRequest {}, Duration::from_secs(30))).await;
        let response = response.map_err(|s| server.refused(s.code(), s.message()))?;
        Ok::<_, CliError>(response.into_inner().model.unwrap_or_default())
    })?;
    let out = Output::new();
    if as_json {
        return out.line(&json::line(&model)?);
    }
    show::model_lines(&model).iter().try_for_each(|line| out.line(line))?;
    out.line(&clean(&model.notice))
}
