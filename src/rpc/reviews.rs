//! The `Reviews` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::guard::Caller;
use super::proto::reviews_server::Reviews;
use super::proto::{self, submit_review_request::Of};
use super::results::page_size;
use super::{Context, convert, page, status};
use crate::journal::{Lookup, NewReview, ReviewQuery, Submitted};
use crate::review::{MOST_NOTE_BYTES, MOST_REVIEWER_BYTES, ReviewLabel};

/// The longest text to look for: an id's, as `Filter` has it.
const MOST_BYTES: usize = crate::journal::filter::MAX_ID;

/// Stores and lists reviews for clients.
#[derive(Debug, Clone)]
pub(super) struct ReviewsService(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Reviews for ReviewsService {
    async fn submit_review(
        &self,
        request: Request<proto::SubmitReviewRequest>,
    ) -> Result<Response<proto::SubmitReviewResponse>, Status> {
        let caller = Caller::of(&request);
        let review = checked(request.into_inner(), caller.identity)?;
        let submitted = self.0.journal.review(review).await;
        let (review, reused) = match submitted.map_err(|error| status::review(&error))? {
            Submitted::Stored(review) => (review, false),
            Submitted::Known(review) => (review, true),
        };
        // Also for a stored review: the client may have disconnected before its image was kept.
        self.keep_image(review.of.sequence).await;
        if !reused {
            let (sequence, result_id) = (review.sequence, &review.of.result_id);
            tracing::info!(sequence, result_id, label = %review.label, agrees = review.agrees, "review stored");
        }
        let review = Some(convert::review(&review, self.0.journal.epoch()));
        Ok(Response::new(proto::SubmitReviewResponse { review, reused }))
    }

    async fn list_reviews(
        &self,
        request: Request<proto::ListReviewsRequest>,
    ) -> Result<Response<proto::ListReviewsResponse>, Status> {
        let request = request.into_inner();
        let epoch = self.0.journal.epoch();
        let listing = page::Listing::of_reviews(&request, epoch);
        let text = |field: &str, text: String| match text.len() {
            0 => Ok(None),
            length if length <= MOST_BYTES => Ok(Some(text)),
            _ => Err(status::field(field, format!("at most {MOST_BYTES} bytes"))),
        };
        let query = ReviewQuery {
            after: listing.after(&request.page_token)?,
            limit: page_size(request.page_size)?,
            newest_first: request.newest_first,
            disagreements: request.disagreements,
            result_sequence: (request.result_sequence > 0).then_some(request.result_sequence),
            result_id: text("result_id", request.result_id)?,
            specimen: text("specimen", request.specimen)?,
            reviewer: text("reviewer", request.reviewer)?,
        };
        let journal = self.0.journal.clone();
        let page = tokio::task::spawn_blocking(move || journal.reviews(&query)).await;
        let page = page
            .map_err(|error| status::internal(&error))?
            .map_err(|error| status::journal(&error))?;
        Ok(Response::new(proto::ListReviewsResponse {
            reviews: page.reviews.iter().map(|review| convert::review(review, epoch)).collect(),
            next_page_token: page.next.map(|after| listing.token(after)).unwrap_or_default(),
        }))
    }
}

impl ReviewsService {
    /// The image of what was reviewed, where images are kept. The review is stored whatever comes of it.
    async fn keep_image(&self, sequence: Option<u64>) {
        let Some(sequence) = sequence else { return };
        let found = self.0.read(move |journal| journal.get(&Lookup::Sequence(sequence))).await;
        if let Ok(Some(record)) = found {
            self.0.pipeline.keep_reviewed(&record).await;
        }
    }
}

/// The review that a client sent, or which field is wrong.
fn checked(request: proto::SubmitReviewRequest, client: String) -> Result<NewReview, Status> {
    let proto::SubmitReviewRequest { of, label, reviewer, note, review_id } = request;
    let of = match of {
        Some(Of::Sequence(sequence)) if sequence > 0 && i64::try_from(sequence).is_ok() => {
            Lookup::Sequence(sequence)
        }
        Some(Of::ResultId(id)) if !id.is_empty() && id.len() <= MOST_BYTES => Lookup::ResultId(id),
        _ => return Err(status::field("of", "give the result's sequence or its result_id")),
    };
    let label: ReviewLabel =
        label.parse().map_err(|_| status::field("label", "write \"all\", \"hem\" or \"other\""))?;
    if reviewer.trim().is_empty() || reviewer.len() > MOST_REVIEWER_BYTES {
        let message = format!("say who reviews, in 1 to {MOST_REVIEWER_BYTES} bytes");
        return Err(status::field("reviewer", message));
    }
    if note.len() > MOST_NOTE_BYTES {
        let message = format!("{} bytes are too long: at most {MOST_NOTE_BYTES}", note.len());
        return Err(status::field("note", message));
    }
    let review_id = if review_id.is_empty() {
        None
    } else {
        let id = uuid::Uuid::try_parse(&review_id)
            .map_err(|_| status::field("review_id", "this is no UUID"))?;
        // One way to write it, or the same id would be two.
        Some(id.hyphenated().to_string())
    };
    Ok(NewReview { of, label, reviewer, note, client, review_id })
}
