//! `leukd model`: the card of the model in service, or of a bundle; two bundles side by side;
//! signatures.

mod diff;
mod key;
mod reference;
mod side;
mod sign;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::CliError;
use super::output::{Output, clean};
use super::remote::{self, ServerArgs};
use super::{json, show};
use crate::grpc::convert;
use crate::grpc::proto::control_client::ControlClient;
use crate::grpc::proto::{self, GetModelRequest};
use crate::model::bundle::{BundleError, BundleSource};
use crate::model::engine::EngineKind;
use crate::model::file::FileError;
use crate::model::serving::Model;

/// Show, verify, compare or sign models
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum ModelCommand {
    /// Show the card of the model in service, or of a bundle
    Show {
        /// A bundle [default: the model in service]
        file: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
        /// Operators to compile the bundle for
        #[arg(long, value_enum, requires = "file")]
        engine: Option<EngineKind>,
        /// One JSON object (Model)
        #[arg(long)]
        json: bool,
    },
    Verify(verify::VerifyArgs),
    Diff(diff::DiffArgs),
    Keygen(key::KeygenArgs),
    Sign(sign::SignArgs),
    Reference(reference::ReferenceArgs),
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached; no model serves; the bundle cannot be read or does not work.
pub(super) fn run(args: &ModelArgs) -> Result<(), CliError> {
    match &args.command {
        ModelCommand::Show { file: None, server, json, .. } => served(server, *json),
        ModelCommand::Show { file: Some(file), engine, json, .. } => {
            stored(file, engine.unwrap_or_default(), *json)
        }
        ModelCommand::Verify(args) => verify::run(args),
        ModelCommand::Diff(args) => diff::run(args),
        ModelCommand::Keygen(args) => key::keygen(args),
        ModelCommand::Sign(args) => sign::run(args),
        ModelCommand::Reference(args) => reference::run(args),
    }
}

/// Reads and compiles a bundle and runs its golden inputs. It decides by its own review band and
/// the configured one.
///
/// # Errors
/// [`CliError::NoInput`] where there is no such file, [`CliError::Data`] where it does not work, or
/// not with that band.
pub(super) fn load(
    source: &BundleSource,
    kind: EngineKind,
    review: Option<(f64, f64)>,
) -> Result<Model, CliError> {
    let bundle = source.read().map_err(unusable)?;
    let origin = bundle.origin().to_owned();
    let loaded = Model::load_on(bundle, kind).and_then(|model| model.deciding(review));
    loaded.map_err(|error| CliError::Data(format!("{origin}: {error}")))
}

/// The command's error for an unreadable bundle.
pub(super) fn unusable(error: impl Into<BundleError>) -> CliError {
    let error = error.into();
    match error {
        BundleError::File(FileError::Unreadable { .. }) => CliError::NoInput(error.to_string()),
        _ => CliError::Data(error.to_string()),
    }
}

/// The card of a bundle that need not work.
fn stored(file: &Path, kind: EngineKind, as_json: bool) -> Result<(), CliError> {
    let bundle = BundleSource::File(file.to_owned()).read().map_err(unusable)?;
    let card = proto::Model {
        digest: bundle.digest().to_string(),
        origin: bundle.origin().to_owned(),
        ..convert::card(bundle.manifest())
    };
    // The fusion is known only after compiling; the card is useful without it.
    let card = match Model::load_on(bundle, kind) {
        Ok(model) => convert::model(&model, kind, None),
        Err(error) => proto::Model { fusion: format!("unknown: {error}"), ..card },
    };
    print(&card, as_json)
}

fn served(server: &ServerArgs, as_json: bool) -> Result<(), CliError> {
    let model = remote::runtime()?.block_on(async {
        let mut client = ControlClient::new(server.connect().await?);
        let response =
            client.get_model(remote::request(GetModelRequest {}, Duration::from_secs(30))).await;
        let response = response.map_err(|s| server.refused(s.code(), s.message()))?;
        Ok::<_, CliError>(response.into_inner().model.unwrap_or_default())
    })?;
    print(&model, as_json)
}

fn print(model: &proto::Model, as_json: bool) -> Result<(), CliError> {
    let out = Output::new();
    if as_json {
        return out.line(&json::line(model)?);
    }
    show::model_lines(model).iter().try_for_each(|line| out.line(line))?;
    out.line(&clean(&model.notice))
}
