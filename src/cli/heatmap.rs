//! `leukd heatmap`: where in the picture a stored result came from.

use std::path::PathBuf;
use std::time::Duration;

use super::error::CliError;
use super::images::read_limited;
use super::json;
use super::output::{Output, clean, remark};
use super::remote::{self, ServerArgs};
use crate::grpc::proto::explainer_client::ExplainerClient;
use crate::grpc::proto::get_heat_map_request::By;
use crate::grpc::proto::{GetHeatMapRequest, GetHeatMapResponse, HeatMap};
use crate::result::RESEARCH_USE_ONLY;

/// A busy daemon answers when a worker is free.
const LIMIT: Duration = Duration::from_secs(60);

/// The largest answer: a picture of the largest size, drawn over.
const MOST_ANSWER: usize = 256 << 20;

/// Limit on the image that is read, whatever the daemon accepts.
const MOST_IMAGE: u64 = 256 << 20;

/// Show which places of the picture counted for a blast, and which for a normal cell
///
/// A map shows what the model looked at. It does not show that the model is right.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HeatMapArgs {
    /// A stored result: its sequence or its id
    #[arg(value_name = "RESULT")]
    result: String,
    /// The image itself, for a result whose file leukd cannot read again
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Draw the map over the picture, as PNG, into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object (HeatMap)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs it.
///
/// # Errors
/// The daemon cannot be reached, or refuses: no such result, another model serves, the image is
/// gone.
pub(super) fn run(args: &HeatMapArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let by = args.result.parse().map_or_else(|_| By::ResultId(args.result.clone()), By::Sequence);
    let image = match &args.image {
        Some(file) => {
            read_limited(file, MOST_IMAGE).map_err(|reason| CliError::NoInput(reason.message))?
        }
        None => Vec::new(),
    };
    let answer = remote::runtime()?.block_on(async {
        let mut client = ExplainerClient::new(args.server.connect().await?)
            .max_decoding_message_size(MOST_ANSWER);
        let message = GetHeatMapRequest { by: Some(by), image, overlay: args.out.is_some() };
        let response = client.get_heat_map(remote::request(message, LIMIT)).await;
        response.map_err(|status| args.server.refused(status.code(), status.message()))
    })?;
    let GetHeatMapResponse { heat_map, overlay_png, .. } = answer.into_inner();
    let map = heat_map.unwrap_or_default();
    let out = Output::new();
    if let Some(file) = &args.out {
        fs_err::write(file, overlay_png).map_err(|error| CliError::Io(error.to_string()))?;
    }
    if args.json {
        return out.line(&json::line(&map)?);
    }
    out.line(&table(&map))
}

/// The map as text: one line a row, in logits.
fn table(map: &HeatMap) -> String {
    let model = map.model.clone().unwrap_or_default();
    let columns = usize::try_from(map.columns).unwrap_or(usize::MAX).max(1);
    let mut lines = vec![format!(
        "logit(all) - logit(hem) of {} is {:+.2}: {:+.2} of the network's own, the rest by place",
        clean(&model.id),
        map.difference,
        map.constant
    )];
    lines.extend(
        map.contributions.chunks(columns).map(|row| {
            row.iter().map(|value| format!("{value:+8.2}")).collect::<Vec<_>>().join("")
        }),
    );
    lines.join("\n")
}
