//! What a refusal carries: google.rpc's details.

use leukd::grpc::proto;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The reason and the metadata of the ErrorInfo, whose domain is leukd's.
pub fn info(status: &Status) -> (String, std::collections::HashMap<String, String>) {
    let info =
        status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "leukd");
    (info.reason, info.metadata)
}

/// The reason of the ErrorInfo.
pub fn reason(status: &Status) -> String {
    info(status).0
}

/// Says when to try again.
pub fn assert_retry(status: &Status) {
    let retry =
        status.get_details_retry_info().unwrap_or_else(|| panic!("no RetryInfo: {status:?}"));
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()), "{retry:?}");
}

/// INVALID_ARGUMENT whose BadRequest names just this field.
pub fn assert_field(status: &Status, field: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let request =
        status.get_details_bad_request().unwrap_or_else(|| panic!("no BadRequest: {status:?}"));
    let fields: Vec<_> = request.field_violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, [field], "{status:?}");
    assert!(!request.field_violations[0].description.is_empty());
    assert!(status.message().contains(field) || field == "image", "{}", status.message());
}

/// The error item of one answer of a stream.
pub fn item(answer: &proto::ClassifyStreamResponse) -> Option<&proto::ItemError> {
    match answer.outcome.as_ref().unwrap() {
        proto::classify_stream_response::Outcome::Error(error) => Some(error),
        proto::classify_stream_response::Outcome::Classified(_) => None,
    }
}
