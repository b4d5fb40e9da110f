//! The `Explainer` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::proto::explainer_server::Explainer;
use super::proto::{self, get_heat_map_request};
use super::{convert, status, trace};
use crate::journal::Lookup;
use crate::result::RESEARCH_USE_ONLY;
use crate::service::Service;

/// Says where in the picture a result came from.
#[derive(Debug, Clone)]
pub(super) struct ExplainerService(pub(super) Arc<Service>);

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
            Some(get_heat_map_request::By::ResultId(id)) => Lookup::ResultId(id),
            None => return Err(status::field("by", "give a sequence or a result_id")),
        };
        let image = Some(image).filter(|image| !image.is_empty());
        let explained = self.0.heat_map(lookup, image, overlay).instrument(span).await;
        let explained = explained.map_err(|error| status::service(&error))?;
        Ok(Response::new(proto::GetHeatMapResponse {
            heat_map: Some(convert::heat_map(&explained)),
            overlay_png: explained.overlay.unwrap_or_default(),
            notice: RESEARCH_USE_ONLY.to_owned(),
        }))
    }
}
