//! Errors → `tonic::Status`: the one table.
//!
//! | error | code | details |
//! |---|---|---|
//! | bad field | INVALID_ARGUMENT | BadRequest, ErrorInfo `BAD_FIELD` |
//! | not an image, truncated, … | INVALID_ARGUMENT | BadRequest `image`, ErrorInfo with the reason's code |
//! | a message without an image, longer than any may be | INVALID_ARGUMENT | ErrorInfo `MESSAGE_TOO_LONG` |
//! | image too large | RESOURCE_EXHAUSTED | ErrorInfo `IMAGE_TOO_LARGE` with the limit |
//! | queue full, too many subscribers, slow reader | RESOURCE_EXHAUSTED | RetryInfo, ErrorInfo |
//! | no model yet, starting, stopping | UNAVAILABLE | RetryInfo, ErrorInfo |
//! | disk full, journal cannot write | UNAVAILABLE | RetryInfo, ErrorInfo |
//! | cursor of another epoch or from the future | OUT_OF_RANGE | ErrorInfo with both ends |
//! | no such result, specimen, file | NOT_FOUND | ErrorInfo |
//! | bad bundle at a reload | FAILED_PRECONDITION | ErrorInfo `BAD_BUNDLE` |
//! | a bundle that no trusted key signed | FAILED_PRECONDITION | ErrorInfo `UNTRUSTED_BUNDLE` with its digest |
//! | reload under way | ABORTED | RetryInfo |
//! | no credential, or one that is unknown, malformed or expired | UNAUTHENTICATED | ErrorInfo |
//! | a scope is missing | PERMISSION_DENIED | ErrorInfo `MISSING_SCOPE` with the scope and the caller |
//! | too many streams on one connection | RESOURCE_EXHAUSTED | ErrorInfo `TOO_MANY_ON_CONNECTION` |
//! | a client has too much under way | RESOURCE_EXHAUSTED | RetryInfo, ErrorInfo |
//! | a request stands still while it arrives | DEADLINE_EXCEEDED | RetryInfo, ErrorInfo `STALLED` |
//! | the caller's deadline passed | DEADLINE_EXCEEDED | ErrorInfo `DEADLINE` |
//! | no such method | UNIMPLEMENTED | ErrorInfo |
//! | a log that is not leukd's own | FAILED_PRECONDITION | ErrorInfo `FOREIGN_LOG` |
//! | no heat map of this result | FAILED_PRECONDITION | ErrorInfo `REJECTED`, `OTHER_MODEL`, `NO_IMAGE`, `OTHER_BYTES`, `OTHER_CELL`, `NO_HEAD` |
//! | a review of a result that was superseded | FAILED_PRECONDITION | ErrorInfo `SUPERSEDED` with the result that took its place |
//! | a review's id with another content | ALREADY_EXISTS | ErrorInfo `REVIEW_ID_TAKEN` |
//! | a signature that cannot be given or withdrawn | FAILED_PRECONDITION | ErrorInfo `CELLS_WAIT`, `SPECIMEN_CHANGED`, `SAME_PERSON`, `SIGNED`, `NO_SIGNATURE` |
//! | a signature's id with another content | ALREADY_EXISTS | ErrorInfo `SIGNATURE_ID_TAKEN` |
//! | a defect | INTERNAL | ErrorInfo; the log has the rest |

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::access::clients::Exceeded;
use crate::access::gate::Denied;
use crate::cell::Fault;
use crate::journal::filter::FieldError;
use crate::journal::{JournalError, ReviewError, SignError};
use crate::model::bundle::BundleError;
use crate::model::file::FileError;
use crate::model::pool::PoolError;
use crate::model::registry::ReloadError;
use crate::pipeline::{ExplainError, RequestError};
use crate::service::{End, ServiceError};
use crate::telemetry::{LevelError, Seldom};

/// `ErrorInfo.domain` of every error.
const DOMAIN: &str = "leukd";

/// When to try again after a passing shortage.
const SOON: Duration = Duration::from_secs(1);

/// A journal that cannot be used fails every call alike.
static UNUSABLE: Seldom = Seldom::new(Duration::from_secs(300));

fn info(reason: &str, metadata: &[(&str, String)]) -> ErrorDetails {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

fn with(code: Code, message: impl Into<String>, details: ErrorDetails) -> Status {
    Status::with_error_details(code, message, details)
}

fn retry(code: Code, message: impl Into<String>, reason: &str) -> Status {
    let mut details = info(reason, &[]);
    details.set_retry_info(Some(SOON));
    with(code, message, details)
}

/// A field that does not hold what it should.
pub(super) fn field(name: &str, description: impl Into<String>) -> Status {
    let description = description.into();
    let message = format!("{name}: {description}");
    let mut details = info("BAD_FIELD", &[]);
    details.add_bad_request_violation(name, description);
    with(Code::InvalidArgument, message, details)
}

/// A message without an image that is longer than any such message may be.
pub(super) fn too_long() -> Status {
    let message = "the message is longer than leukd takes for this call";
    with(Code::InvalidArgument, message, info("MESSAGE_TOO_LONG", &[]))
}

/// A filter's field, as the journal's room reports it.
pub(super) fn filter_field(error: &FieldError) -> Status {
    field(&format!("filter.{}", error.field), error.message.clone())
}

/// Nothing of that name or number.
fn not_found(message: impl Into<String>, reason: &str) -> Status {
    with(Code::NotFound, message, info(reason, &[]))
}

/// The status of a request that was not met.
pub(super) fn service(error: &ServiceError) -> Status {
    let message = error.to_string();
    match error {
        ServiceError::Field { field: name, message } => field(name, message.clone()),
        ServiceError::NoResult => not_found(message, "NO_RESULT"),
        ServiceError::NoSpecimen { .. } => not_found(message, "NO_SPECIMEN"),
        ServiceError::OtherEpoch { epoch, .. } => {
            with(Code::OutOfRange, message, info("WRONG_EPOCH", &[("epoch", epoch.clone())]))
        }
        ServiceError::FutureCursor { newest, .. } => {
            let newest = [("newest", newest.to_string())];
            with(Code::OutOfRange, message, info("FUTURE_CURSOR", &newest))
        }
        ServiceError::TooManySubscribers(_) => {
            retry(Code::ResourceExhausted, message, "TOO_MANY_SUBSCRIBERS")
        }
        ServiceError::Stopping => stopping(),
        ServiceError::NoModel => no_model(),
        ServiceError::Request(error) => request(error),
        ServiceError::Explain(error) => explain(error),
        // No method gives pictures.
        ServiceError::Picture(error) => internal(error),
        ServiceError::Review(error) => review(error),
        ServiceError::Sign(error) => sign(error),
        ServiceError::Reload(error) => reload(error),
        ServiceError::LogLevel(error) => log_level(error),
        ServiceError::Journal(error) => journal(error),
        ServiceError::Defect(error) => internal(error),
    }
}

/// The status that ends a stream; `advice` is for a reader that took nothing.
pub(super) fn end(end: &End, advice: &str) -> Status {
    match end {
        End::Stopping => stopping(),
        End::Slow(after) => slow_reader(*after, advice),
        End::Journal(error) => journal(error),
    }
}

/// The daemon stops; readers of a stream resume from their cursor.
pub(super) fn stopping() -> Status {
    retry(
        Code::Unavailable,
        "leukd is stopping; resume from your cursor when it is back",
        "STOPPING",
    )
}

/// The journal is not open yet.
pub(super) fn starting() -> Status {
    let message = "leukd is starting: its journal is being opened; try again";
    retry(Code::Unavailable, message, "STARTING")
}

/// No model is in service.
pub(super) fn no_model() -> Status {
    retry(Code::Unavailable, "no model is in service; GetStatus tells why", "NO_MODEL")
}

/// A reader of a stream took nothing.
fn slow_reader(after: Duration, advice: &str) -> Status {
    let after = after.as_secs_f64();
    let message = format!("you took nothing for {after} s, so this stream ends; {advice}");
    retry(Code::ResourceExhausted, message, "SLOW_READER")
}

/// The caller may not do that.
pub(super) fn denied(denied: &Denied) -> Status {
    let (code, metadata) = match denied {
        Denied::MissingScope { identity, scope } => (
            Code::PermissionDenied,
            vec![("scope", scope.as_str().to_owned()), ("client", identity.clone())],
        ),
        _ => (Code::Unauthenticated, Vec::new()),
    };
    with(code, denied.to_string(), info(denied.reason(), &metadata))
}

/// The caller has too much under way.
pub(super) fn exceeded(exceeded: &Exceeded) -> Status {
    let reason = match exceeded {
        Exceeded::Requests(_) => "TOO_MANY_REQUESTS",
        Exceeded::Streams(_) => "TOO_MANY_STREAMS",
        Exceeded::Bytes(_) => "TOO_MANY_BYTES",
    };
    retry(Code::ResourceExhausted, exceeded.to_string(), reason)
}

/// No room for one more stream on this connection.
pub(super) fn too_many_on_connection(limit: usize) -> Status {
    let message = format!(
        "{limit} streams are open on this connection, as many as one may carry beside short calls: \
         open another connection"
    );
    with(Code::ResourceExhausted, message, info("TOO_MANY_ON_CONNECTION", &[]))
}

/// A request stopped in the middle.
pub(super) fn stalled(after: Duration) -> Status {
    let message = format!("nothing more of the request came for {} s", after.as_secs());
    retry(Code::DeadlineExceeded, message, "STALLED")
}

/// The caller's deadline passed.
pub(super) fn deadline(after: Duration) -> Status {
    let message = format!(
        "the deadline of {} ms passed before the answer was ready; what was begun may still be stored",
        after.as_millis()
    );
    with(Code::DeadlineExceeded, message, info("DEADLINE", &[]))
}

/// A method that this leukd does not have.
pub(super) fn no_method() -> Status {
    let message = "this leukd has no such method; it may be older than your contract";
    with(Code::Unimplemented, message, info("NO_METHOD", &[]))
}

/// A defect of leukd: the client learns that, the log has the rest.
pub(super) fn internal(error: &dyn std::fmt::Display) -> Status {
    tracing::error!("{error}");
    with(
        Code::Internal,
        "a defect of leukd; the daemon's log has the details",
        info("INTERNAL", &[]),
    )
}

/// The status of a journal's error.
fn journal(error: &JournalError) -> Status {
    match error {
        JournalError::DiskFloor { .. } => retry(Code::Unavailable, error.to_string(), "DISK_FLOOR"),
        JournalError::Closed => stopping(),
        error if error.is_transient() => {
            // The client has no use for the server's paths; the log has them, once.
            // A file that was moved stands among the degradations anyway.
            if !matches!(error, JournalError::Moved { .. })
                && let Some(untold) = UNUSABLE.due()
            {
                tracing::warn!(untold, "{error}");
            }
            retry(Code::Unavailable, "the journal cannot be used now; try again", "JOURNAL")
        }
        error => internal(error),
    }
}

/// Bytes that are no usable picture.
fn image(fault: &Fault) -> Status {
    let message = fault.to_string();
    let mut details = info(fault.code(), &[]);
    details.add_bad_request_violation("image", message.clone());
    with(Code::InvalidArgument, message, details)
}

/// Why a result has no heat map.
fn explain(error: &ExplainError) -> Status {
    let unmet = |reason: &str| with(Code::FailedPrecondition, error.to_string(), info(reason, &[]));
    match error {
        ExplainError::Rejected(_) => unmet("REJECTED"),
        ExplainError::OtherModel { .. } => unmet("OTHER_MODEL"),
        ExplainError::NotKept(_) | ExplainError::Gone(_) => unmet("NO_IMAGE"),
        ExplainError::OtherBytes(_) => unmet("OTHER_BYTES"),
        ExplainError::OtherCell(_) => unmet("OTHER_CELL"),
        ExplainError::NoHead(_) => unmet("NO_HEAD"),
        ExplainError::Image(fault) => image(fault),
        ExplainError::NoModel => no_model(),
        ExplainError::Model(error) => internal(error),
        ExplainError::Journal(error) => journal(error),
        ExplainError::Pool(PoolError::Full) => {
            retry(Code::ResourceExhausted, error.to_string(), "QUEUE_FULL")
        }
        ExplainError::Pool(PoolError::Stopped) => stopping(),
        ExplainError::Pool(PoolError::Panicked(what)) => internal(what),
    }
}

/// Why a review was not stored.
fn review(error: &ReviewError) -> Status {
    let message = error.to_string();
    match error {
        ReviewError::NoResult => not_found(message, "NO_RESULT"),
        ReviewError::Superseded { by, .. } => with(
            Code::FailedPrecondition,
            message,
            info("SUPERSEDED", &[("superseded_by", by.to_string())]),
        ),
        ReviewError::IdTaken(_) => with(Code::AlreadyExists, message, info("REVIEW_ID_TAKEN", &[])),
        ReviewError::Journal(error) => journal(error),
    }
}

/// Why a signature or a withdrawal was not stored.
fn sign(error: &SignError) -> Status {
    let message = error.to_string();
    let unmet = |reason, metadata: &[(&str, String)]| {
        with(Code::FailedPrecondition, message.clone(), info(reason, metadata))
    };
    match error {
        SignError::NoSpecimen(_) => not_found(message, "NO_SPECIMEN"),
        SignError::Waiting { to_review, first, .. } => {
            let first: Vec<String> = first.iter().map(u64::to_string).collect();
            unmet("CELLS_WAIT", &[("to_review", to_review.to_string()), ("first", first.join(","))])
        }
        SignError::Changed { newest, .. } => {
            unmet("SPECIMEN_CHANGED", &[("newest", newest.to_string())])
        }
        SignError::SamePerson { sequence, .. } => {
            unmet("SAME_PERSON", &[("sequence", sequence.to_string())])
        }
        SignError::Complete { .. } => unmet("SIGNED", &[]),
        SignError::NoSignature { .. } => unmet("NO_SIGNATURE", &[]),
        SignError::IdTaken(_) => {
            with(Code::AlreadyExists, message, info("SIGNATURE_ID_TAKEN", &[]))
        }
        SignError::Journal(error) => journal(error),
    }
}

/// Why one image has no result.
pub(super) fn request(error: &RequestError) -> Status {
    let message = error.to_string();
    match error {
        RequestError::TooLarge { limit, .. } => with(
            Code::ResourceExhausted,
            message,
            info("IMAGE_TOO_LARGE", &[("max_image_bytes", limit.to_string())]),
        ),
        RequestError::Image(fault) => image(fault),
        RequestError::NoModel => no_model(),
        RequestError::Busy => retry(Code::ResourceExhausted, message, "QUEUE_FULL"),
        RequestError::Stopped => stopping(),
        RequestError::Model(error) => internal(error),
        RequestError::NoCell => internal(error),
        RequestError::Panicked(what) => internal(what),
        RequestError::Journal(error) => journal(error),
    }
}

/// Why a reload did not happen.
fn reload(error: &ReloadError) -> Status {
    let message = error.to_string();
    match error {
        ReloadError::Busy => retry(Code::Aborted, message, "RELOAD_UNDER_WAY"),
        ReloadError::Bundle(BundleError::File(FileError::Unreadable { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            not_found(message, "NO_BUNDLE")
        }
        ReloadError::Bundle(BundleError::Untrusted { source, .. }) => with(
            Code::FailedPrecondition,
            format!("{message}; the model before stays in service"),
            info(
                "UNTRUSTED_BUNDLE",
                &[("reason", message.clone()), ("sha256", source.digest.clone())],
            ),
        ),
        _ => with(
            Code::FailedPrecondition,
            format!("{message}; the model before stays in service"),
            info("BAD_BUNDLE", &[("reason", message.clone())]),
        ),
    }
}

/// Why the log's filter was not changed.
pub(super) fn log_level(error: &LevelError) -> Status {
    match error {
        LevelError::Filter(message) => field("filter", message.clone()),
        LevelError::Lasts(_) => field("lasts", error.to_string()),
        LevelError::Foreign => {
            with(Code::FailedPrecondition, error.to_string(), info("FOREIGN_LOG", &[]))
        }
    }
}

/// The stable word of an error: what `ItemError.reason` carries.
pub(super) fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map_or_else(String::new, |info| info.reason)
}
