//! The way of a field of view that came with a request.

use std::sync::Arc;
use std::time::Instant;

use tracing::Instrument as _;
use uuid::Uuid;

use super::request::begin;
use super::{Known, Pipeline, RequestError, RequestImage, cell_id, told};
use crate::cell::words::KindRule;
use crate::journal::types::{Committed, Entry, FieldRequest, Found, Stored};
use crate::model::examine::{ExamineError, micros};
use crate::model::field::{CaptureRules, examine_capture};
use crate::model::pool::Lane;
use crate::result::{Capture, CaptureKind, CellIds, Digest, Field, Record, Source, Timings};

/// All results of a field of view.
#[derive(Debug)]
pub struct ClassifiedField {
    /// The results of its cells, by ordinal.
    pub records: Vec<Arc<Record>>,
    /// The event that closes it.
    pub field: Arc<Field>,
    /// It was stored for an earlier request.
    pub reused: bool,
}

enum Outcome {
    Known(Stored),
    New(Box<Found>),
}

impl Pipeline {
    /// Classifies each white cell of a field of view that came with a request, and stores the
    /// results. `micrometres_per_pixel`: the field's scale, where the client knows it.
    ///
    /// # Errors
    /// See [`RequestError`]. Nothing is stored when there is an error.
    pub async fn classify_field(
        &self,
        image: RequestImage,
        micrometres_per_pixel: Option<f64>,
    ) -> Result<ClassifiedField, RequestError> {
        let (result_id, span) = begin(&image);
        self.classify_field_once(image, result_id, micrometres_per_pixel).instrument(span).await
    }

    async fn classify_field_once(
        &self,
        image: RequestImage,
        result_id: Uuid,
        micrometres_per_pixel: Option<f64>,
    ) -> Result<ClassifiedField, RequestError> {
        let parts = &self.0;
        let size = image.bytes.len() as u64;
        if size > parts.max_request_bytes {
            return Err(RequestError::TooLarge { size, limit: parts.max_request_bytes });
        }
        let model = parts.registry.current().ok_or(RequestError::NoModel)?;
        let (arrived, queued) = (parts.clock.wall(), Instant::now());
        let (pipeline, span) = (self.clone(), tracing::Span::current());
        let examine = move |_: &_| -> Result<Outcome, RequestError> {
            let _in = span.enter();
            let parts = &pipeline.0;
            let queue_us = micros(queued, Instant::now());
            let sha256 = Digest::of(&image.bytes);
            let reference = model.reference();
            let first = CellIds { cell: cell_id(&image.ids.cell, 0), ..image.ids.clone() };
            let same = FieldRequest {
                digest: &sha256,
                ids: &first,
                model: &reference.digest,
                micrometres_per_pixel,
            };
            let _turn = parts.journal.marks().share();
            if let Some(stored) = parts.journal.known_field_request(&same)? {
                parts.images.classified(&sha256, &image.bytes);
                return Ok(Outcome::Known(stored));
            }
            let given = micrometres_per_pixel;
            let rules = CaptureRules { kind: KindRule::Field, micrometres_per_pixel: given };
            let examined = tracing::debug_span!("examine")
                .in_scope(|| examine_capture(&image.bytes, &model, &parts.limits, &rules))
                .map_err(|error| match error {
                    ExamineError::Image(fault) => RequestError::Image(fault),
                    ExamineError::Model(error) => RequestError::Model(error),
                })?;
            parts.images.classified(&sha256, &image.bytes);
            let (peer, request_id, client) = (image.peer, image.request_id, image.client);
            let known = Known {
                result_id,
                capture: Capture {
                    digest: Some(sha256),
                    size_bytes: size,
                    source: Source::Rpc { peer, request_id, client },
                    captured_at: arrived,
                    kind: CaptureKind::Field,
                },
                ids: image.ids,
            };
            let timings = Timings { queue_us, ..Timings::default() };
            let found = known.examined(examined, &reference, timings, parts.clock.wall());
            told(&found);
            Ok(Outcome::New(Box::new(found)))
        };
        let (stored, reused) = match parts.pool.run(Lane::Interactive, examine).await?? {
            Outcome::Known(stored) => (stored, true),
            Outcome::New(found) => match self.commit(Entry::Request { found: *found }).await? {
                Committed::Stored(stored) => (stored, false),
                Committed::Known(stored) => (stored, true),
            },
        };
        let Stored { field, records, .. } = stored;
        Ok(ClassifiedField { records, field: field.ok_or(RequestError::NoCell)?, reused })
    }
}
