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

impl Work {
    /// Answers that the journal is closed, except to what writes nothing new.
    pub(super) fn refuse(self) -> Option<Self> {
        // The asker may have stopped waiting.
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Review(_, reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Sign(_, reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Summarize(_, reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Prune(reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Audit(_, reply) => drop(reply.send(Err(JournalError::Closed))),
            Self::Retry(_) => return Some(self),
        }
        None
    }
}
