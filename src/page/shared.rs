//! State that the handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::sessions::Sessions;
use crate::access::gate::{Gate, Peer};
use crate::service::Service;

/// State of the page, for every handler.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    pub(super) gate: Arc<Gate>,
    pub(super) sessions: Sessions,
    /// Places of live streams.
    pub(super) streams: Arc<Semaphore>,
    /// The review queue hides the suggestion, whatever the reader's switch says.
    pub(super) blind_first: bool,
}

/// The connection of a request.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) peer: Peer,
    /// Cancelled to end the connection.
    pub(super) end: CancellationToken,
}
