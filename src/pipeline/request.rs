//! The way of an image that came with a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::explain::{Explained, explain};
use super::{Known, Pipeline, told};
use crate::cell::Fault;
use crate::cell::words::KindRule;
use crate::journal::JournalError;
use crate::journal::types::{Committed, Entry, Found};
use crate::model::examine::{ExamineError, examine_and, micros};
use crate::model::field::doubt_of_cell;
use crate::model::pool::{Lane, PoolError};
use crate::model::serving::{ModelError, Seen};
use crate::result::{Capture, CaptureKind, CellIds, Digest, Record, Source, Timings};

/// One image that a client sent.
#[derive(Debug, Clone)]
pub struct RequestImage {
    /// The bytes of an image file.
    pub bytes: Vec<u8>,
    /// What it belongs to.
    pub ids: CellIds,
    /// The client's address.
    pub peer: String,
    /// What the client calls this request.
    pub request_id: String,
    /// A heat map is asked for too. Of a cell alone.
    pub heat_map: bool,
    /// Who the client is: see [`Source::Rpc`]; empty where nobody knows.
    pub client: String,
}

/// What a request is answered with.
#[derive(Debug)]
pub struct Classified {
    /// The stored result.
    pub record: Arc<Record>,
    /// It was stored for an earlier request.
    pub reused: bool,
    /// The heat map, where one was asked for and leukd knows the network's head.
    pub heat_map: Option<Explained>,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// More bytes than a request may carry.
    #[error("the image has {size} bytes; a request may carry {limit} (rpc.max_image_bytes)")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most it may have.
        limit: u64,
    },
    /// The bytes are no usable picture.
    #[error("{0}")]
    Image(Fault),
    /// No model is in service.
    #[error("no model is in service; GetStatus tells why")]
    NoModel,
    /// As many requests wait as may wait.
    #[error("all workers are busy and the queue is full; try again in a moment")]
    Busy,
    /// The daemon is stopping.
    #[error("leukd is stopping; try again when it is back")]
    Stopped,
    /// The network failed.
    #[error("{0}")]
    Model(ModelError),
    /// The stored capture has no result.
    #[error("there is no cell in this image")]
    NoCell,
    /// A defect of leukd.
    #[error("classifying this image made a worker panic; the log has the details: {0}")]
    Panicked(String),
    /// The result could not be made durable, so it is not given out.
    #[error("the result could not be stored: {0}")]
    Journal(#[from] JournalError),
}

impl From<PoolError> for RequestError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::Busy,
            PoolError::Stopped => Self::Stopped,
            PoolError::Panicked(what) => Self::Panicked(what),
        }
    }
}

/// How long a bulk stream waits before it asks for a place again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The id of the result to come, and the span that puts it into every log line on the way there.
pub(super) fn begin(image: &RequestImage) -> (Uuid, Span) {
    let result_id = Uuid::now_v7();
    (result_id, tracing::error_span!("request", %result_id, request_id = image.request_id))
}

enum Outcome {
    Known(Committed, Option<Explained>),
    New(Box<Found>, Option<Explained>),
}

impl Pipeline {
    /// Classifies one image that came with a request, and stores the result.
    ///
    /// # Errors
    /// See [`RequestError`]. Nothing is stored when there is an error.
    pub async fn classify(&self, image: RequestImage) -> Result<Classified, RequestError> {
        let (result_id, span) = begin(&image);
        self.classify_once(Arc::new(image), result_id).instrument(span).await
    }

    /// The same, but waits for a place instead of being turned away: for streams, whose client is
    /// held back by flow control meanwhile.
    ///
    /// # Errors
    /// See [`RequestError`]; never `Busy`.
    pub async fn classify_in_turn(&self, image: RequestImage) -> Result<Classified, RequestError> {
        let (result_id, span) = begin(&image);
        self.in_turn(Arc::new(image), result_id).instrument(span).await
    }

    async fn in_turn(
        &self,
        image: Arc<RequestImage>,
        result_id: Uuid,
    ) -> Result<Classified, RequestError> {
        loop {
            // Streams leave half of the places to single requests.
            let pool = self.0.pool.status();
            if pool.interactive * 2 >= pool.interactive_capacity && pool.interactive > 0 {
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
            match self.classify_once(Arc::clone(&image), result_id).await {
                Err(RequestError::Busy) => tokio::time::sleep(ASK_AGAIN).await,
                other => return other,
            }
        }
    }

    async fn classify_once(
        &self,
        image: Arc<RequestImage>,
        result_id: Uuid,
    ) -> Result<Classified, RequestError> {
        let parts = &self.0;
        let size = image.bytes.len() as u64;
        if size > parts.max_request_bytes {
            return Err(RequestError::TooLarge { size, limit: parts.max_request_bytes });
        }
        let model = parts.registry.current().ok_or(RequestError::NoModel)?;
        let arrived = parts.clock.wall();
        let queued = Instant::now();
        let (journal, limits, clock) = (parts.journal.clone(), parts.limits, parts.clock.clone());
        let rules = parts.rules.for_requests();
        let span = Span::current();
        let images = self.clone();
        let outcome = parts
            .pool
            .run(Lane::Interactive, move |_| -> Result<Outcome, RequestError> {
                let _in = span.enter();
                let queue_us = micros(queued, Instant::now());
                let sha256 = Digest::of(&image.bytes);
                let reference = model.reference();
                if let Some(stored) =
                    journal.known_request(&sha256, &image.ids, &reference.digest)?
                {
                    let _turn = journal.marks().share();
                    images.0.images.classified(&sha256, &image.bytes);
                    // The very model, which this once looks again. Without a map the stored result
                    // is all there is.
                    let map = || explain(&image.bytes, &model, &limits, false).ok();
                    let map = image.heat_map.then(map).flatten();
                    return Ok(Outcome::Known(Committed::Known(stored), map));
                }
                let _turn = journal.marks().share();
                let also = |picture: &RgbImage, seen: &Seen| {
                    let explained = || Explained::of(&model, picture, seen, false).ok();
                    let doubt = (rules.kind != KindRule::Cell).then(|| doubt_of_cell(picture));
                    (image.heat_map.then(explained).flatten(), doubt.flatten())
                };
                let (mut examined, (map, doubt)) = tracing::debug_span!("examine")
                    .in_scope(|| examine_and(&image.bytes, &model, &limits, also))
                    .map_err(|error| match error {
                        ExamineError::Image(fault) => RequestError::Image(fault),
                        ExamineError::Model(error) => RequestError::Model(error),
                    })?;
                examined.judgement = examined.judgement.doubted(doubt.into_iter().collect());
                images.0.images.classified(&sha256, &image.bytes);
                let known = Known {
                    result_id,
                    capture: Capture {
                        digest: Some(sha256),
                        size_bytes: size,
                        source: Source::Rpc {
                            peer: image.peer.clone(),
                            request_id: image.request_id.clone(),
                            client: image.client.clone(),
                        },
                        captured_at: arrived,
                        kind: CaptureKind::Cell,
                    },
                    ids: image.ids.clone(),
                };
                let timings = Timings { queue_us, ..Timings::default() };
                let found = known.classified(examined, reference, timings, clock.wall());
                told(&found);
                Ok(Outcome::New(Box::new(found), map))
            })
            .await??;
        let (committed, heat_map) = match outcome {
            Outcome::Known(known, map) => (known, map),
            Outcome::New(found, map) => (self.commit(Entry::Request { found: *found }).await?, map),
        };
        let reused = matches!(committed, Committed::Known(_));
        let record = committed.stored().first().cloned().ok_or(RequestError::NoCell)?;
        tracing::debug!(
            sequence = record.sequence,
            decision = %record.finding.decision,
            stored_as = record.finding.result_id,
            "stored"
        );
        Ok(Classified { record, reused, heat_map })
    }
}
