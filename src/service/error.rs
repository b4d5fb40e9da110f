//! Why a request of a face was not met.

use crate::journal::filter::FieldError;
use crate::journal::{JournalError, ReviewError, SignError};
use crate::model::registry::ReloadError;
use crate::pipeline::{ExplainError, PictureError, RequestError};
use crate::telemetry::LevelError;

/// Why a request was not met. Each face translates it into its own codes.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A field does not hold what it must.
    #[error("{field}: {message}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// There is no such result, or no longer.
    #[error("there is no such result, or retention has removed it")]
    NoResult,
    /// No result names this specimen.
    #[error("no result names the specimen {specimen:?}{}", slide.as_ref().map(|slide| format!(" and the slide {slide:?}")).unwrap_or_default())]
    NoSpecimen {
        /// The specimen.
        specimen: String,
        /// The slide, where one was named.
        slide: Option<String>,
    },
    /// The cursor belongs to another journal.
    #[error(
        "the cursor is of epoch {given:.64}, this journal's is {epoch}: the journal was replaced; \
         subscribe with `earliest` to read the new one"
    )]
    OtherEpoch {
        /// The cursor's epoch.
        given: String,
        /// The journal's.
        epoch: String,
    },
    /// The cursor lies beyond what was ever stored.
    #[error("the cursor is at {given}, but the newest result is {newest}")]
    FutureCursor {
        /// The cursor's sequence.
        given: u64,
        /// The newest sequence.
        newest: u64,
    },
    /// As many subscriptions are open as may be.
    #[error("{0} subscriptions are open, as many as rpc.max_subscribers allows")]
    TooManySubscribers(u32),
    /// The daemon stops.
    #[error("leukd is stopping; resume from your cursor when it is back")]
    Stopping,
    /// No model is in service.
    #[error("no model is in service; GetStatus tells why")]
    NoModel,
    /// A request with an image was not met.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A heat map cannot be given.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// A picture cannot be shown.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A review was not stored.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// A signature or a withdrawal was not stored.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A bundle was not put into service.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// The log's filter was not changed.
    #[error(transparent)]
    LogLevel(#[from] LevelError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A defect of leukd.
    #[error("{0}")]
    Defect(String),
}

impl ServiceError {
    /// A field that does not hold what it must.
    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Field { field, message: message.into() }
    }

    /// A thread that panicked.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn defect(error: tokio::task::JoinError) -> Self {
        Self::Defect(error.to_string())
    }
}

impl From<FieldError> for ServiceError {
    fn from(error: FieldError) -> Self {
        Self::Field { field: error.field, message: error.message }
    }
}
