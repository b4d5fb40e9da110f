//! A store as the engine sees it.

use std::future::Future;

use crate::batch::{Batch, Held};

/// The right to write, asked for by one journal.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What [`Sink::connect`] gave.
    pub held: Held,
    /// The journal's own hash of audit record [`Held::records`]; none where it has no such record.
    pub hash: Option<blake3::Hash>,
    /// The newest event of the journal.
    pub newest: u64,
    /// The newest event that the store has acknowledged to this process in this epoch.
    pub acknowledged: u64,
    /// Epochs that the journal had before.
    pub former: Vec<String>,
}

/// Why a store does not take a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It does not answer. The next attempt may go well.
    #[error("{0}")]
    Away(String),
    /// A later connection took the site's place, or holds more by now: connect anew.
    #[error("{0}")]
    Superseded(String),
    /// A person must act: a wrong password, a store without its tables, another journal's name.
    #[error("{0}")]
    Refused(String),
    /// Another daemon writes, or wrote, under this site's name. A person must act.
    #[error("{0}")]
    Fenced(String),
}

/// A store that batches are appended to. One file holds one kind of store.
pub trait Sink: Send {
    /// Opens a connection, drops the one before, and reads what the store holds of this journal.
    fn connect(&mut self) -> impl Future<Output = Result<Held, SinkError>> + Send;

    /// Takes the site's place for this connection: from now on the store refuses what earlier
    /// connections still send.
    fn claim(&mut self, claim: &Claim) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Makes a batch durable, all of it or nothing. An empty one is a sign of life.
    fn append(&mut self, batch: &Batch) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Drops the connection.
    fn disconnect(&mut self);
}
