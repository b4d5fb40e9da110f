//! The `Classifier` service.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::guard::Caller;
use super::page::MAX_PAGE_BYTES;
use super::proto::classifier_server::Classifier;
use super::proto::{self, classify_stream_response};
use super::{convert, oversize, status, trace};
use crate::pipeline::{Classified, ClassifiedField, RequestError, RequestImage};
use crate::result::CellIds;
use crate::service::{Service, ServiceError};

/// Images of one stream in progress at once: enough to keep every worker of a workstation
/// busy, few enough that a stream holds little memory.
const AHEAD: usize = 4;

/// Classifies what clients send.
#[derive(Debug, Clone)]
pub(super) struct ClassifierService(pub(super) Arc<Service>);

type Items = Pin<Box<dyn Stream<Item = Result<proto::ClassifyStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Classifier for ClassifierService {
    type ClassifyStreamStream = Items;

    async fn classify(
        &self,
        request: Request<proto::ClassifyRequest>,
    ) -> Result<Response<proto::ClassifyResponse>, Status> {
        let caller = Caller::of(&request);
        let span = trace::span("Classify", request.metadata());
        let image = image(request.into_inner(), caller);
        let classified = self.0.classify(image, false).instrument(span).await;
        let classified = classified.map_err(|error| status::service(&error))?;
        Ok(Response::new(response(&classified, self.0.journal.epoch())))
    }

    async fn classify_field(
        &self,
        request: Request<proto::ClassifyFieldRequest>,
    ) -> Result<Response<proto::ClassifyFieldResponse>, Status> {
        let caller = Caller::of(&request);
        let span = trace::span("ClassifyField", request.metadata());
        let request = request.into_inner();
        let scale = request.micrometres_per_pixel;
        let image = field_image(request, caller);
        let classified = self.0.classify_field(image, scale).instrument(span).await;
        let classified = classified.map_err(|error| status::service(&error))?;
        Ok(Response::new(field_response(&classified, self.0.journal.epoch())))
    }

    async fn classify_stream(
        &self,
        request: Request<Streaming<proto::ClassifyRequest>>,
    ) -> Result<Response<Items>, Status> {
        let caller = Caller::of(&request);
        let span = trace::span("ClassifyStream", request.metadata());
        let service = Arc::clone(&self.0);
        let (stop, stopped) = (service.stop.clone(), service.stop.clone());
        let items = request
            .into_inner()
            // No more is taken in after a stop; what is under way is stored and answered.
            .take_until(stop.cancelled_owned())
            .enumerate()
            .map(move |(index, request)| {
                let (service, caller) = (Arc::clone(&service), caller.clone());
                let answer = async move {
                    let limit = service.limits.max_image_bytes;
                    let request = request.map_err(|status| oversize::clear(status, limit))?;
                    item(&service, index as u64, request, caller).await
                };
                answer.instrument(span.clone())
            })
            .buffered(AHEAD);
        let goodbye = futures_util::stream::once(async move { Err(status::stopping()) })
            .filter(move |_| std::future::ready(stopped.is_cancelled()));
        // A broken request ends the stream: nothing after it could be trusted.
        let items = items.chain(goodbye).scan(false, |failed, item| {
            let before = *failed;
            *failed |= item.is_err();
            std::future::ready((!before).then_some(item))
        });
        // A client that takes no answers holds workers' results: it is let go as a subscriber is.
        let feed = self.0.hand_on(items, AHEAD).map(|item| match item {
            Ok(item) => item,
            Err(end) => Err(status::end(&end, "send again what has no answer yet")),
        });
        Ok(Response::new(Box::pin(feed)))
    }
}

/// One answer of a stream. Only what ends the whole stream is an `Err`.
async fn item(
    service: &Service,
    index: u64,
    request: proto::ClassifyRequest,
    caller: Caller,
) -> Result<proto::ClassifyStreamResponse, Status> {
    let request_id = request.request_id.clone();
    let answered = match service.classify(image(request, caller), true).await {
        Ok(classified) => Ok(response(&classified, service.journal.epoch())),
        Err(ServiceError::Request(RequestError::Stopped)) => return Err(status::stopping()),
        Err(error) => Err(status::service(&error)),
    };
    let outcome = match answered {
        Ok(response) => classify_stream_response::Outcome::Classified(response),
        Err(status) => classify_stream_response::Outcome::Error(proto::ItemError {
            code: status.code().into(),
            message: status.message().to_owned(),
            reason: status::reason_of(&status),
        }),
    };
    Ok(proto::ClassifyStreamResponse { index, request_id, outcome: Some(outcome) })
}

fn response(classified: &Classified, epoch: &str) -> proto::ClassifyResponse {
    proto::ClassifyResponse {
        result: Some(convert::result(&classified.record, epoch)),
        reused: classified.reused,
        heat_map: classified.heat_map.as_ref().map(convert::heat_map),
    }
}

/// The answer to ClassifyField, without outlines where it would be too long, and then without the
/// texts of reasons.
fn field_response(classified: &ClassifiedField, epoch: &str) -> proto::ClassifyFieldResponse {
    let results = classified.records.iter().map(|record| convert::result(record, epoch)).collect();
    let mut response = proto::ClassifyFieldResponse {
        results,
        field: Some(convert::field(&classified.field, epoch)),
        reused: classified.reused,
        outlines_left_out: false,
    };
    if response.encoded_len() > MAX_PAGE_BYTES {
        response.results.iter_mut().for_each(|result| result.outline.clear());
        response.outlines_left_out = true;
    }
    if response.encoded_len() > MAX_PAGE_BYTES {
        let reasons = response.results.iter_mut().flat_map(|result| &mut result.reasons);
        reasons.for_each(|reason| reason.message.clear());
    }
    response
}

fn field_image(request: proto::ClassifyFieldRequest, caller: Caller) -> RequestImage {
    RequestImage {
        bytes: request.image,
        ids: CellIds { specimen: request.specimen, slide: request.slide, cell: request.cell },
        peer: caller.peer,
        request_id: request.request_id,
        heat_map: false,
        client: caller.identity,
    }
}

fn image(request: proto::ClassifyRequest, caller: Caller) -> RequestImage {
    RequestImage {
        bytes: request.image,
        ids: CellIds { specimen: request.specimen, slide: request.slide, cell: request.cell },
        peer: caller.peer,
        request_id: request.request_id,
        heat_map: request.heat_map,
        client: caller.identity,
    }
}
