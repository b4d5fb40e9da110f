//! Page tokens: the position and the query of a listing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use tonic::Status;

use super::{proto, status};
use crate::result::Digest;

/// One listing: its filter and order in one journal. A token of another one is refused.
pub(super) struct Listing([u8; 8]);

impl Listing {
    pub(super) fn of(request: &proto::ListResultsRequest, epoch: &str) -> Self {
        let same_for_each_page = proto::ListResultsRequest {
            filter: request.filter.clone(),
            newest_first: request.newest_first,
            standing: request.standing,
            page_size: 0,
            page_token: String::new(),
        };
        Self::marked("", same_for_each_page.encode_to_vec(), epoch)
    }

    /// The same of reviews.
    pub(super) fn of_reviews(request: &proto::ListReviewsRequest, epoch: &str) -> Self {
        let same_for_each_page = proto::ListReviewsRequest {
            page_size: 0,
            page_token: String::new(),
            ..request.clone()
        };
        Self::marked("reviews", same_for_each_page.encode_to_vec(), epoch)
    }

    /// That of specimens, which has one order.
    pub(super) fn of_specimens(epoch: &str) -> Self {
        Self::marked("specimens", Vec::new(), epoch)
    }

    fn marked(what: &str, mut bytes: Vec<u8>, epoch: &str) -> Self {
        bytes.extend_from_slice(what.as_bytes());
        bytes.extend_from_slice(epoch.as_bytes());
        let mut mark = [0; 8];
        mark.copy_from_slice(&Digest::of(&bytes).0[..8]);
        Self(mark)
    }

    /// The token that goes on after `sequence`.
    pub(super) fn token(&self, sequence: u64) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(&sequence.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a token goes on; none for the empty token of a first page.
    pub(super) fn after(&self, token: &str) -> Result<Option<u64>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let bytes: Option<[u8; 16]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let Some((mark, sequence)) =
            bytes.as_ref().and_then(|bytes| bytes.split_first_chunk::<8>())
        else {
            return Err(status::field("page_token", "this is no next_page_token"));
        };
        if *mark != self.0 {
            let message = "this token is of another listing: keep the other fields the same";
            return Err(status::field("page_token", message));
        }
        let mut number = [0; 8];
        number.copy_from_slice(sequence);
        Ok(Some(u64::from_be_bytes(number)))
    }
}

/// Size of an answer's list: below gRPC's default limit of 4 MiB on a received message, with room
/// for the rest of the answer.
pub(super) const MAX_PAGE_BYTES: usize = 3584 * 1024;

/// The first of `items` that fit one answer, at least one; and the sequence of the last of them
/// where not all do.
pub(super) fn fitting<M: prost::Message>(
    items: Vec<M>,
    sequence: impl Fn(&M) -> u64,
) -> (Vec<M>, Option<u64>) {
    let mut size = 0;
    let fits = |item: &M| {
        size += item.encoded_len() + 8;
        size <= MAX_PAGE_BYTES
    };
    let count = items.iter().map(fits).take_while(|fits| *fits).count().max(1);
    let last = (count < items.len()).then(|| sequence(&items[count - 1]));
    (items.into_iter().take(count).collect(), last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_a_message_is_too_long() {
        let review = |sequence| proto::Review {
            sequence,
            note: "x".repeat(1024 * 1024),
            ..proto::Review::default()
        };
        let pages = |count| {
            let (page, last) = fitting((1..=count).map(review).collect(), |one| one.sequence);
            (page.len(), last)
        };
        assert_eq!(pages(5), (3, Some(3)));
        assert_eq!(pages(3), (3, None));
        let long = proto::Review { note: "x".repeat(5 << 20), ..review(7) };
        let (page, last) = fitting(vec![long, review(8)], |one| one.sequence);
        assert_eq!((page.len(), last), (1, Some(7)), "one at least, or no client would get on");
    }

    #[test]
    fn a_token_goes_on_in_its_own_listing_only() {
        let request = proto::ListResultsRequest { newest_first: true, ..Default::default() };
        let listing = Listing::of(&request, "epoch");
        let token = listing.token(42);
        assert_eq!(listing.after(&token).unwrap(), Some(42));
        assert_eq!(listing.after("").unwrap(), None);
        assert!(listing.after("garbage").is_err());
        let other = proto::ListResultsRequest { newest_first: false, ..Default::default() };
        assert!(Listing::of(&other, "epoch").after(&token).is_err());
        assert!(Listing::of(&request, "another epoch").after(&token).is_err());
    }
}
