//! The `Results` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::proto::results_server::Results;
use super::proto::{self, event, get_result_request, subscribe_request};
use super::subscribe::{self, Events, Subscription};
use super::{Context, convert, page, status};
use crate::journal::types::Bounds;
use crate::journal::{ListQuery, Lookup, SpecimenQuery};
use crate::result::CapturePath;
use crate::review::{Standing, Verdict};

/// Results a page when the client does not say.
const DEFAULT_PAGE: u32 = 100;

/// The most results a page.
const MAX_PAGE: u32 = 1000;

/// Size of a client's page.
pub(super) fn page_size(asked: u32) -> Result<usize, Status> {
    let size = if asked == 0 { DEFAULT_PAGE } else { asked };
    if size > MAX_PAGE {
        return Err(status::field("page_size", format!("{size} is more than {MAX_PAGE}")));
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The longest text that names one thing: an id, a path.
pub(super) const MAX_NAME: usize = 4096;

/// Reads the journal for clients.
#[derive(Debug, Clone)]
pub(super) struct ResultsService(pub(super) Arc<Context>);

impl ResultsService {
    /// Where a subscription starts: everything up to the answer counts as dealt with.
    fn start(
        &self,
        start: Option<subscribe_request::Start>,
        bounds: Bounds,
    ) -> Result<u64, Status> {
        match start {
            None | Some(subscribe_request::Start::Latest(())) => Ok(bounds.newest),
            Some(subscribe_request::Start::Earliest(())) if bounds.oldest == 0 => Ok(bounds.newest),
            Some(subscribe_request::Start::Earliest(())) => Ok(bounds.oldest - 1),
            Some(subscribe_request::Start::After(cursor)) => {
                let epoch = self.0.journal.epoch();
                if cursor.epoch.is_empty() {
                    let message = "give the epoch that Hello told together with the sequence";
                    Err(status::field("after.epoch", message))
                } else if cursor.epoch != epoch {
                    Err(status::wrong_epoch(&cursor.epoch, epoch))
                } else if cursor.sequence > bounds.newest {
                    Err(status::future_cursor(cursor.sequence, bounds.newest))
                } else {
                    Ok(cursor.sequence)
                }
            }
        }
    }
}

#[tonic::async_trait]
impl Results for ResultsService {
    type SubscribeStream = Events;

    async fn subscribe(
        &self,
        request: Request<proto::SubscribeRequest>,
    ) -> Result<Response<Events>, Status> {
        let peer = super::guard::Caller::of(&request).name();
        let request = request.into_inner();
        let context = &self.0;
        if context.stop.is_cancelled() {
            return Err(status::stopping());
        }
        let filter = convert::filter(request.filter)?;
        // Read once: what is newer than Hello says is sent.
        let bounds = context.journal.bounds();
        let cursor = self.start(request.start, bounds)?;
        let place = Arc::clone(&context.places)
            .try_acquire_owned()
            .map_err(|_| status::too_many_subscribers(context.limits.max_subscribers))?;
        let hello = proto::Hello {
            epoch: context.journal.epoch().to_owned(),
            oldest: bounds.oldest,
            newest: bounds.newest,
            model: context.model_card(),
            heartbeat_interval: Some(convert::span(context.limits.heartbeat)),
        };
        let (context, place) = (Arc::clone(context), Arc::new(place));
        let subscription = Subscription { context, filter, peer, cursor, place };
        let hello = proto::Event { kind: Some(event::Kind::Hello(hello)) };
        Ok(Response::new(subscribe::start(subscription, hello)))
    }

    async fn get_result(
        &self,
        request: Request<proto::GetResultRequest>,
    ) -> Result<Response<proto::GetResultResponse>, Status> {
        let by = request.into_inner().by;
        let by = by.ok_or_else(|| status::field("by", "give a sequence, a result_id or a path"))?;
        let bounded = |name: &str, text: String| {
            if text.len() <= MAX_NAME {
                Ok(text)
            } else {
                Err(status::field(name, format!("at most {MAX_NAME} bytes")))
            }
        };
        let lookup = match by {
            get_result_request::By::Sequence(sequence) => Lookup::Sequence(sequence),
            get_result_request::By::ResultId(id) => Lookup::ResultId(bounded("result_id", id)?),
            get_result_request::By::Path(path) => Lookup::Path(CapturePath {
                folder: bounded("path.folder", path.folder)?,
                path: bounded("path.path", path.path)?,
            }),
        };
        let found = self
            .0
            .read(move |journal| {
                let found = journal.get(&lookup)?;
                let standing = journal.standings(found.as_slice())?.pop();
                Ok(found.map(|record| (record, standing.unwrap_or(Standing::SUGGESTED))))
            })
            .await?;
        let (record, standing) = found.ok_or_else(|| {
            status::not_found("there is no such result, or retention has removed it", "NO_RESULT")
        })?;
        let result = Some(convert::standing_result(record, standing, self.0.journal.epoch()));
        Ok(Response::new(proto::GetResultResponse { result }))
    }

    async fn list_results(
        &self,
        request: Request<proto::ListResultsRequest>,
    ) -> Result<Response<proto::ListResultsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let listing = page::Listing::of(&request, self.0.journal.epoch());
        let query = ListQuery {
            after: listing.after(&request.page_token)?,
            limit,
            verdict: verdict(request.standing)?,
            newest_first: request.newest_first,
            filter: convert::filter(request.filter)?,
        };
        let (page, standings) = self
            .0
            .read(move |journal| {
                let page = journal.list(&query)?;
                let standings = journal.standings(&page.records)?;
                Ok((page, standings))
            })
            .await?;
        let epoch = self.0.journal.epoch();
        let own = |(record, standing)| convert::standing_result(record, standing, epoch);
        Ok(Response::new(proto::ListResultsResponse {
            results: page.records.into_iter().zip(standings).map(own).collect(),
            next_page_token: page.next.map(|after| listing.token(after)).unwrap_or_default(),
        }))
    }

    async fn get_specimen(
        &self,
        request: Request<proto::GetSpecimenRequest>,
    ) -> Result<Response<proto::GetSpecimenResponse>, Status> {
        let proto::GetSpecimenRequest { specimen, slide } = request.into_inner();
        if specimen.is_empty() || specimen.len() > MAX_NAME {
            let message = format!("give the specimen's id, 1 to {MAX_NAME} bytes");
            return Err(status::field("specimen", message));
        }
        if slide.as_ref().is_some_and(|slide| slide.len() > MAX_NAME) {
            return Err(status::field("slide", format!("at most {MAX_NAME} bytes")));
        }
        // Once: the cells are counted at the threshold of the model whose errors they are corrected for.
        let model = self.0.pipeline.registry().current();
        let threshold = model.as_ref().map(|model| model.manifest().calibration.threshold);
        let query = SpecimenQuery { specimen, slide, threshold };
        let wanted = query.clone();
        let counts = self.0.read(move |journal| journal.specimen(&wanted)).await?;
        let SpecimenQuery { specimen, slide, .. } = query;
        let counts = counts.ok_or_else(|| {
            let on = slide.as_ref().map(|slide| format!(" and the slide {slide:?}"));
            let message =
                format!("no result names the specimen {specimen:?}{}", on.unwrap_or_default());
            status::not_found(message, "NO_SPECIMEN")
        })?;
        let flags = &self.0.limits.specimen_flags;
        let answer = super::specimen::answer(counts, model.as_deref(), flags);
        Ok(Response::new(proto::GetSpecimenResponse { specimen, slide, ..answer }))
    }
}

/// Which standing a listing is of; none for any.
fn verdict(number: i32) -> Result<Option<Verdict>, Status> {
    use proto::standing::State;
    match State::try_from(number) {
        Ok(State::Unspecified) => Ok(None),
        Ok(State::Suggested) => Ok(Some(Verdict::Suggested)),
        Ok(State::Confirmed) => Ok(Some(Verdict::Confirmed)),
        Ok(State::Corrected) => Ok(Some(Verdict::Corrected)),
        Err(_) => {
            let message = format!("{number} is no State of this version of the contract");
            Err(status::field("standing", message))
        }
    }
}
