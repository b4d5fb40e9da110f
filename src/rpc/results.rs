//! The `Results` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::proto::results_server::Results;
use super::proto::{self, event, get_result_request, subscribe_request};
use super::subscribe::{self, Events, Subscription};
use super::{Context, convert, page, status};
use crate::journal::types::Bounds;
use crate::journal::{Journal, JournalError, ListQuery, Lookup, SpecimenCounts};
use crate::result::CapturePath;
use crate::review::{Standing, Verdict};

/// Results a page when the client does not say.
const DEFAULT_PAGE: u32 = 100;

/// The most results a page.
const MAX_PAGE: u32 = 1000;

/// How many results a client wants on its page.
pub(super) fn page_size(asked: u32) -> Result<usize, Status> {
    let size = if asked == 0 { DEFAULT_PAGE } else { asked };
    if size > MAX_PAGE {
        return Err(status::field("page_size", format!("{size} is more than {MAX_PAGE}")));
    }
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The longest text that names one thing: an id, a path.
const MAX_NAME: usize = 4096;

/// Reads the journal for clients.
#[derive(Debug, Clone)]
pub(super) struct ResultsService(pub(super) Arc<Context>);

impl ResultsService {
    /// Reads the journal off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Status> {
        let journal = self.0.journal.clone();
        match tokio::task::spawn_blocking(move || read(&journal)).await {
            Ok(result) => result.map_err(|error| status::journal(&error)),
            Err(error) => Err(status::internal(&error)),
        }
    }

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
        let specimen = request.into_inner().specimen;
        if specimen.is_empty() || specimen.len() > MAX_NAME {
            let message = format!("give the specimen's id, 1 to {MAX_NAME} bytes");
            return Err(status::field("specimen", message));
        }
        let wanted = specimen.clone();
        let counts = self.read(move |journal| journal.specimen(&wanted)).await?;
        let counts = counts.ok_or_else(|| {
            status::not_found(format!("no result names the specimen {specimen:?}"), "NO_SPECIMEN")
        })?;
        Ok(Response::new(specimen_response(specimen, counts)))
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

fn specimen_response(specimen: String, counts: SpecimenCounts) -> proto::GetSpecimenResponse {
    let fraction = wilson(counts.all, counts.all + counts.hem);
    proto::GetSpecimenResponse {
        specimen,
        all: counts.all,
        hem: counts.hem,
        review: counts.review,
        rejected: counts.rejected,
        blast_fraction: fraction.map(|(value, lower, upper)| proto::Fraction {
            value,
            lower,
            upper,
        }),
        slides: counts.slides,
        first_classified_at: counts.first_classified_at.map(convert::time),
        last_classified_at: counts.last_classified_at.map(convert::time),
        as_of_sequence: counts.as_of_sequence,
    }
}

/// A share with its 95 % score interval (Wilson 1927, "Probable Inference, the Law of Succession, and
/// Statistical Inference", without continuity correction). None when there is nothing to count.
fn wilson(hits: u64, of: u64) -> Option<(f64, f64, f64)> {
    /// The 97.5 % quantile of the standard normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of cells are far below 2^52")]
    let (hits, n) = (hits as f64, of as f64);
    let share = hits / n;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some((share, (middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_gives_the_published_intervals() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        for (hits, of, lower, upper) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (_, low, high) = wilson(hits, of).unwrap();
            assert!(
                (low - lower).abs() < 5e-5 && (high - upper).abs() < 5e-5,
                "{hits}/{of}: {low} {high}"
            );
        }
        assert!(wilson(0, 0).is_none());
    }
}
