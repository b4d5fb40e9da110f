//! What the writer is asked.

use tokio::sync::oneshot;

use super::audit::{AuditEvent, AuditHead};
use super::error::{JournalError, ReviewError, SignError};
use super::retention::Pruned;
use super::signature::{NewSignature, Signed};
use super::types::{Committed, Entry, Marked, NewReview, Submitted, Summarize};

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// One request to the writer.
pub(super) enum Work {
    /// Make this durable.
    Commit(Box<Entry>, Reply<Committed>),
    /// Make this review durable.
    Review(Box<NewReview>, Reply<Result<Submitted, ReviewError>>),
    /// Make this signature or withdrawal durable.
    Sign(Box<NewSignature>, Reply<Result<Signed, SignError>>),
    /// Store a specimen's summary, where it is due.
    Summarize(Box<Summarize>, Reply<Marked>),
    /// Remove one batch of what is past its time.
    Prune(Reply<Pruned>),
    /// Add a record to the audit chain.
    Audit(Box<AuditEvent>, Reply<AuditHead>),
    /// Try to write the records that wait.
    Retry(Reply<AuditHead>),
}
