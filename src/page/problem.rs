//! Errors → JSON with a sentence that the page shows as it is.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::access::clients::Exceeded;
use crate::access::gate::Denied;
use crate::journal::{JournalError, ReviewError, SignError};
use crate::pipeline::{ExplainError, PictureError, RequestError};
use crate::service::ServiceError;

/// What a handler gives.
pub(super) type Answer = Result<Response, Problem>;

/// An error as the page sees it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// A stable word.
    pub(super) code: &'static str,
    /// The problem and what to do.
    pub(super) message: String,
}

/// An answer with a JSON body.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The usual answer.
pub(super) fn good(value: &Value) -> Response {
    answer(StatusCode::OK, value)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = json!({"code": self.code, "message": self.message});
        answer(self.status, &json!({"error": error}))
    }
}

impl Problem {
    /// No model is in service.
    pub(super) fn no_model() -> Self {
        let message = "no model is in service; the first screen says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NO_MODEL", message)
    }

    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A field of the request that does not hold what it must.
    pub(super) fn field(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_FIELD", message)
    }

    /// A defect of leukd: the page learns that, the log has the rest.
    pub(super) fn defect(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("{error}");
        let message = "a defect of leukd; the daemon's log has the details";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    fn soon(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }
}

impl From<&Denied> for Problem {
    fn from(denied: &Denied) -> Self {
        let (status, message) = match denied {
            Denied::MissingScope { .. } => (StatusCode::FORBIDDEN, denied.to_string()),
            Denied::NoCredential => {
                (StatusCode::UNAUTHORIZED, "sign in with your token".to_owned())
            }
            Denied::Malformed => (
                StatusCode::UNAUTHORIZED,
                "this is no token: it begins with leukd_ and comes from `leukd token new`"
                    .to_owned(),
            ),
            denied => (StatusCode::UNAUTHORIZED, denied.to_string()),
        };
        Self::new(status, denied.reason(), message)
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY", exceeded.to_string())
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::Field { .. } => Self::field(message),
            ServiceError::NoResult => Self::new(StatusCode::NOT_FOUND, "NO_RESULT", message),
            ServiceError::NoSpecimen { .. } => {
                Self::new(StatusCode::NOT_FOUND, "NO_SPECIMEN", message)
            }
            ServiceError::OtherEpoch { .. } | ServiceError::FutureCursor { .. } => {
                Self::new(StatusCode::CONFLICT, "WRONG_CURSOR", message)
            }
            ServiceError::TooManySubscribers(_) => Self::soon("TOO_MANY_SUBSCRIBERS", message),
            ServiceError::Stopping => Self::soon("STOPPING", message),
            ServiceError::NoModel => Self::soon("NO_MODEL", message),
            ServiceError::Request(error) => request(&error),
            ServiceError::Explain(error) => explain(&error),
            ServiceError::Picture(error) => picture(&error),
            ServiceError::Review(error) => review(&error),
            ServiceError::Sign(error) => sign(&error),
            ServiceError::Journal(error) => journal(&error),
            // The page neither reloads nor changes the log.
            ServiceError::Reload(_) | ServiceError::LogLevel(_) | ServiceError::Defect(_) => {
                Self::defect(&message)
            }
        }
    }
}

fn journal(error: &JournalError) -> Problem {
    match error {
        JournalError::DiskFloor { .. } => Problem::soon("DISK_FLOOR", error.to_string()),
        JournalError::Closed => Problem::soon("STOPPING", "leukd is stopping"),
        error if error.is_transient() => {
            tracing::warn!("{error}");
            Problem::soon("JOURNAL", "the journal cannot be used now; try again")
        }
        error => Problem::defect(error),
    }
}

fn request(error: &RequestError) -> Problem {
    let message = error.to_string();
    match error {
        RequestError::TooLarge { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "IMAGE_TOO_LARGE", message)
        }
        RequestError::Image(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BAD_IMAGE", message)
        }
        RequestError::NoModel => Problem::soon("NO_MODEL", message),
        RequestError::Busy => Problem::soon("QUEUE_FULL", message),
        RequestError::Stopped => Problem::soon("STOPPING", message),
        RequestError::Journal(error) => journal(error),
        RequestError::Model(_) | RequestError::NoCell | RequestError::Panicked(_) => {
            Problem::defect(&message)
        }
    }
}

fn explain(error: &ExplainError) -> Problem {
    let unmet = |code| Problem::new(StatusCode::CONFLICT, code, error.to_string());
    match error {
        ExplainError::Rejected(_) => unmet("REJECTED"),
        ExplainError::OtherModel { .. } => unmet("OTHER_MODEL"),
        ExplainError::NotKept(_) | ExplainError::Gone(_) => gone(error),
        ExplainError::OtherBytes(_) => unmet("OTHER_BYTES"),
        ExplainError::OtherCell(_) => unmet("OTHER_CELL"),
        ExplainError::NoHead(_) => unmet("NO_HEAD"),
        ExplainError::Image(_) => unmet("BAD_IMAGE"),
        ExplainError::NoModel => Problem::soon("NO_MODEL", error.to_string()),
        ExplainError::Pool(_) => Problem::soon("QUEUE_FULL", error.to_string()),
        ExplainError::Model(error) => Problem::defect(error),
        ExplainError::Journal(error) => journal(error),
    }
}

/// A picture that is no longer there.
fn gone(error: &ExplainError) -> Problem {
    let message = match error {
        ExplainError::NotKept(_) => {
            "this image came with a request and was not kept. With journal.keep_images = \"all\" \
             later ones are."
                .to_owned()
        }
        error => format!(
            "the file can no longer be read ({error}). Put it back, or keep images with \
             journal.keep_images. The result stands as it is."
        ),
    };
    Problem::new(StatusCode::GONE, "NO_IMAGE", message)
}

fn picture(error: &PictureError) -> Problem {
    match error {
        PictureError::Capture(error) => explain(error),
        PictureError::Busy => Problem::soon("BUSY", error.to_string()),
        PictureError::Defect(error) => Problem::defect(error),
    }
}

fn review(error: &ReviewError) -> Problem {
    let message = error.to_string();
    match error {
        ReviewError::NoResult => Problem::new(StatusCode::NOT_FOUND, "NO_RESULT", message),
        ReviewError::Superseded { .. } => Problem::new(StatusCode::CONFLICT, "SUPERSEDED", message),
        ReviewError::IdTaken(_) => Problem::new(StatusCode::CONFLICT, "REVIEW_ID_TAKEN", message),
        ReviewError::Journal(error) => journal(error),
    }
}

fn sign(error: &SignError) -> Problem {
    let unmet = |code| Problem::new(StatusCode::CONFLICT, code, error.to_string());
    match error {
        SignError::NoSpecimen(_) => {
            Problem::new(StatusCode::NOT_FOUND, "NO_SPECIMEN", error.to_string())
        }
        SignError::Waiting { .. } => unmet("CELLS_WAIT"),
        SignError::Changed { .. } => unmet("SPECIMEN_CHANGED"),
        SignError::SamePerson { .. } => unmet("SAME_PERSON"),
        SignError::Complete { .. } => unmet("SIGNED"),
        SignError::NoSignature { .. } => unmet("NO_SIGNATURE"),
        SignError::IdTaken(_) => unmet("SIGNATURE_ID_TAKEN"),
        SignError::Journal(error) => journal(error),
    }
}
