//! The `Results` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::guard::Caller;
use super::proto::results_server::Results;
use super::proto::{self, event, get_result_request, subscribe_request};
use super::subscribe::{Encoder, Events};
use super::{convert, page, specimen, status};
use crate::journal::gallery::MAX_OFFSET;
use crate::journal::{ListQuery, Lookup};
use crate::result::CapturePath;
use crate::review::Verdict;
use crate::service::{Service, Start};

/// Results a page when the client does not say.
const DEFAULT_PAGE: u32 = 100;

/// The most results a page.
const MAX_PAGE: u32 = 1000;

/// The most specimens a page: the cells of each are counted.
const MAX_SPECIMENS: usize = 100;

/// Size of a client's page.
pub(super) fn page_size(asked: u32) -> Result<usize, Status> {
    let size = if asked == 0 { DEFAULT_PAGE } else { asked };
    if size > MAX_PAGE {
        return Err(status::field("page_size", format!("{size} is more than {MAX_PAGE}")));
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// Reads the journal for clients.
#[derive(Debug, Clone)]
pub(super) struct ResultsService(pub(super) Arc<Service>);

#[tonic::async_trait]
impl Results for ResultsService {
    type SubscribeStream = Events;

    async fn subscribe(
        &self,
        request: Request<proto::SubscribeRequest>,
    ) -> Result<Response<Events>, Status> {
        let peer = Caller::of(&request).name();
        let request = request.into_inner();
        let filter = convert::filter(request.filter)?;
        let start = match request.start {
            None | Some(subscribe_request::Start::Latest(())) => Start::Latest,
            Some(subscribe_request::Start::Earliest(())) => Start::Earliest,
            Some(subscribe_request::Start::After(cursor)) => {
                Start::After { epoch: cursor.epoch, sequence: cursor.sequence }
            }
        };
        let service = &self.0;
        let subscriber =
            service.subscribe(filter, start).map_err(|error| status::service(&error))?;
        let epoch = service.journal.epoch().to_owned();
        let hello = proto::Hello {
            epoch: epoch.clone(),
            oldest: subscriber.bounds.oldest,
            newest: subscriber.bounds.newest,
            model: service.served().map(|served| convert::served(&served)),
            heartbeat_interval: Some(convert::span(service.limits.heartbeat)),
        };
        let hello = proto::Event { kind: Some(event::Kind::Hello(hello)) };
        let encoder = Encoder { epoch, clock: service.clock.clone(), peer };
        let feed = subscriber.feed(hello, move |step| Some(encoder.encode(step)));
        Ok(Response::new(Events(feed)))
    }

    async fn get_result(
        &self,
        request: Request<proto::GetResultRequest>,
    ) -> Result<Response<proto::GetResultResponse>, Status> {
        let by = request.into_inner().by;
        let by = by.ok_or_else(|| status::field("by", "give a sequence, a result_id or a path"))?;
        let lookup = match by {
            get_result_request::By::Sequence(sequence) => Lookup::Sequence(sequence),
            get_result_request::By::ResultId(id) => Lookup::ResultId(id),
            get_result_request::By::Path(path) => {
                Lookup::Path(CapturePath { folder: path.folder, path: path.path })
            }
        };
        let found = self.0.result(lookup).await;
        let (record, standing) = found.map_err(|error| status::service(&error))?;
        let result = Some(convert::standing_result(record, standing, self.0.journal.epoch()));
        Ok(Response::new(proto::GetResultResponse { result }))
    }

    async fn list_results(
        &self,
        request: Request<proto::ListResultsRequest>,
    ) -> Result<Response<proto::ListResultsResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let epoch = self.0.journal.epoch();
        let listing = page::Listing::of(&request, epoch);
        let query = ListQuery {
            after: listing.after(&request.page_token)?,
            limit,
            verdict: verdict(request.standing)?,
            live_as_of: None,
            newest_first: request.newest_first,
            filter: convert::filter(request.filter)?,
        };
        let page = self.0.results(query).await.map_err(|error| status::service(&error))?;
        let own = |(record, standing)| convert::standing_result(record, standing, epoch);
        let results = page.results.into_iter().map(own).collect();
        let (results, last) = page::fitting(results, |result: &proto::Result| result.sequence);
        let next = last.or(page.next);
        Ok(Response::new(proto::ListResultsResponse {
            results,
            next_page_token: next.map(|after| listing.token(after)).unwrap_or_default(),
        }))
    }

    async fn get_specimen(
        &self,
        request: Request<proto::GetSpecimenRequest>,
    ) -> Result<Response<proto::GetSpecimenResponse>, Status> {
        let proto::GetSpecimenRequest { specimen, slide } = request.into_inner();
        let figures = self.0.specimen(&specimen, slide.as_deref()).await;
        let figures = figures.map_err(|error| status::service(&error))?;
        let answer = specimen::answer(figures, self.0.journal.epoch());
        Ok(Response::new(proto::GetSpecimenResponse { specimen, slide, ..answer }))
    }

    async fn list_specimens(
        &self,
        request: Request<proto::ListSpecimensRequest>,
    ) -> Result<Response<proto::ListSpecimensResponse>, Status> {
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        if limit > MAX_SPECIMENS {
            let message = format!("{limit} is more than {MAX_SPECIMENS}");
            return Err(status::field("page_size", message));
        }
        let epoch = self.0.journal.epoch();
        let listing = page::Listing::of_specimens(epoch);
        let offset = listing.after(&request.page_token)?.unwrap_or(0);
        let found = self.0.specimens(offset, limit + 1).await;
        let mut found = found.map_err(|error| status::service(&error))?;
        let next = offset + limit as u64;
        let has_more = found.len() > limit && next <= MAX_OFFSET;
        found.truncate(limit);
        Ok(Response::new(proto::ListSpecimensResponse {
            specimens: found
                .into_iter()
                .filter_map(|listed| specimen::listed(listed, epoch))
                .collect(),
            next_page_token: if has_more { listing.token(next) } else { String::new() },
        }))
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
