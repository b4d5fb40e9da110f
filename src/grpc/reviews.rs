//! The `Reviews` service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::guard::Caller;
use super::proto::reviews_server::Reviews;
use super::proto::{self, submit_review_request::Of};
use super::results::page_size;
use super::{convert, page, sign_off, status};
use crate::journal::{Lookup, NewReview, ReviewQuery};
use crate::review::ReviewLabel;
use crate::service::Service;

/// Stores and lists reviews for clients.
#[derive(Debug, Clone)]
pub(super) struct ReviewsService(pub(super) Arc<Service>);

#[tonic::async_trait]
impl Reviews for ReviewsService {
    async fn submit_review(
        &self,
        request: Request<proto::SubmitReviewRequest>,
    ) -> Result<Response<proto::SubmitReviewResponse>, Status> {
        let caller = Caller::of(&request);
        let review = checked(request.into_inner(), caller.identity)?;
        let stored = self.0.submit_review(review).await;
        let stored = stored.map_err(|error| status::service(&error))?;
        let review = Some(convert::review(&stored.review, self.0.journal.epoch()));
        Ok(Response::new(proto::SubmitReviewResponse { review, reused: stored.is_known }))
    }

    async fn list_reviews(
        &self,
        request: Request<proto::ListReviewsRequest>,
    ) -> Result<Response<proto::ListReviewsResponse>, Status> {
        let request = request.into_inner();
        let epoch = self.0.journal.epoch();
        let listing = page::Listing::of_reviews(&request, epoch);
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let query = ReviewQuery {
            after: listing.after(&request.page_token)?,
            limit: page_size(request.page_size)?,
            newest_first: request.newest_first,
            corrections: request.corrections,
            result_sequence: (request.result_sequence > 0).then_some(request.result_sequence),
            result_id: text(request.result_id),
            specimen: text(request.specimen),
            reviewer: text(request.reviewer),
        };
        let page = self.0.reviews(query).await.map_err(|error| status::service(&error))?;
        let reviews = page.reviews.iter().map(|review| convert::review(review, epoch)).collect();
        let (reviews, last) = page::fitting(reviews, |review: &proto::Review| review.sequence);
        let next = last.or(page.next);
        Ok(Response::new(proto::ListReviewsResponse {
            reviews,
            next_page_token: next.map(|after| listing.token(after)).unwrap_or_default(),
        }))
    }

    async fn sign_specimen(
        &self,
        request: Request<proto::SignSpecimenRequest>,
    ) -> Result<Response<proto::SignSpecimenResponse>, Status> {
        let caller = Caller::of(&request);
        let new = sign_off::to_sign(request.into_inner(), caller.identity);
        let done = self.0.sign(new).await.map_err(|error| status::service(&error))?;
        let (signature, reused, sign_off) = sign_off::answer(done, self.0.journal.epoch());
        Ok(Response::new(proto::SignSpecimenResponse { signature, reused, sign_off }))
    }

    async fn withdraw_signature(
        &self,
        request: Request<proto::WithdrawSignatureRequest>,
    ) -> Result<Response<proto::WithdrawSignatureResponse>, Status> {
        let caller = Caller::of(&request);
        let new = sign_off::to_withdraw(request.into_inner(), caller.identity);
        let done = self.0.sign(new).await.map_err(|error| status::service(&error))?;
        let (signature, reused, sign_off) = sign_off::answer(done, self.0.journal.epoch());
        Ok(Response::new(proto::WithdrawSignatureResponse { signature, reused, sign_off }))
    }
}

/// The review that a client sent.
fn checked(request: proto::SubmitReviewRequest, client: String) -> Result<NewReview, Status> {
    let proto::SubmitReviewRequest { of, label, reviewer, note, review_id, blind } = request;
    let of = match of {
        Some(Of::Sequence(sequence)) if i64::try_from(sequence).is_ok() => {
            Lookup::Sequence(sequence)
        }
        Some(Of::ResultId(id)) if !id.is_empty() => Lookup::ResultId(id),
        _ => return Err(status::field("of", "give the result's sequence or its result_id")),
    };
    let label: ReviewLabel =
        label.parse().map_err(|_| status::field("label", "write \"all\", \"hem\" or \"other\""))?;
    let review_id = Some(review_id).filter(|id| !id.is_empty());
    Ok(NewReview { of, label, reviewer, note, blind, client, review_id })
}
