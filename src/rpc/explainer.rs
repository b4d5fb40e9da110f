//! The `Explainer` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::proto::explainer_server::Explainer;
use super::proto::{self, get_heat_map_request};
use super::results::MAX_NAME;
use super::{Context, convert, status, trace};
use crate::journal::Lookup;
use crate::pipeline::RequestError;
use crate::result::RESEARCH_USE_ONLY;

/// Says where in the picture a result came from.
#[derive(Debug, Clone)]
pub(super) struct ExplainerService(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Explainer for ExplainerService {
    async fn get_heat_map(
        &self,
        request: Request<proto::GetHeatMapRequest>,
    ) -> Result<Response<proto::GetHeatMapResponse>, Status> {
        let span = trace::span("GetHeatMap", request.metadata());
        let proto::GetHeatMapRequest { by, image, overlay } = request.into_inner();
        let lookup = match by {
            Some(get_heat_map_request::By::Sequence(sequence)) => Lookup::Sequence(sequence),
            Some(get_heat_map_request::By::ResultId(id)) if id.len() <= MAX_NAME => {
                Lookup::ResultId(id)
            }
            Some(get_heat_map_request::By::ResultId(_)) => {
                return Err(status::field("result_id", format!("at most {MAX_NAME} bytes")));
            }
            None => return Err(status::field("by", "give a sequence or a result_id")),
        };
        let most = self.0.limits.max_image_bytes;
        let size = image.len() as u64;
        if size > most {
            return Err(status::request(&RequestError::TooLarge { size, limit: most }));
        }
        let found = self.0.read(move |journal| journal.get(&lookup)).await?;
        let record = found.ok_or_else(|| {
            status::not_found("there is no such result, or it is no longer kept", "NO_RESULT")
        })?;
        let image = Some(image).filter(|image| !image.is_empty());
        let explained = self.0.pipeline.explain(record, image, overlay).instrument(span).await;
        let explained = explained.map_err(|error| status::explain(&error))?;
        Ok(Response::new(proto::GetHeatMapResponse {
            heat_map: Some(convert::heat_map(&explained)),
            overlay_png: explained.overlay.unwrap_or_default(),
            notice: RESEARCH_USE_ONLY.to_owned(),
        }))
    }
}
