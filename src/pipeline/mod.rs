//! Capture → result: the one path that both the folder and the RPCs take.
//!
//! A worker thread reads, hashes, decodes and classifies; the journal then makes the finding
//! durable; only after that does anyone hear of it.

mod again;
mod attempt;
mod explain;
mod field_request;
mod folder;
mod picture;
mod request;
mod rules;
mod trial;

use std::sync::Arc;

use tracing::Instrument as _;

pub use crate::model::examine::{ExamineError, Examined, examine, examine_and};
pub use crate::model::field::{CaptureRules, ExaminedCapture, examine_capture};
pub use again::Again;
pub use attempt::Attempt;
pub use explain::{ExplainError, Explained, explain};
pub use field_request::ClassifiedField;
pub use picture::{Cut, Picture, PictureError, Turns};
pub use request::{Classified, RequestError, RequestImage};
pub use rules::RuleSet;
pub use trial::{TRIAL, Trial};

use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::cell::segment;
use crate::clock::Clock;
use crate::condition::{Component, Conditions};
use crate::journal::images::Images;
use crate::journal::types::{Committed, Entry, Found};
use crate::journal::{Journal, JournalError};
use crate::model::pool::Pool;
use crate::model::registry::Registry;
use crate::result::{
    Capture, CaptureKind, CellIds, Finding, ModelRef, Reason, Record, Source, Timestamp, Timings,
};

/// What a pipeline is made of.
#[derive(Debug)]
pub struct Parts {
    /// The model in service.
    pub registry: Arc<Registry>,
    /// The worker threads.
    pub pool: Pool,
    /// Where findings become durable.
    pub journal: Journal,
    /// What may be decoded.
    pub limits: Limits,
    /// What captures of folders show.
    pub rules: RuleSet,
    /// The largest image that a request may carry, in bytes.
    pub max_request_bytes: u64,
    /// File names → ids.
    pub names: NamePattern,
    /// What is wrong now.
    pub conditions: Conditions,
    /// The clock.
    pub clock: Clock,
    /// The images that are kept.
    pub images: Images,
    /// Reads captures' files again.
    pub again: Again,
    /// Turns of those who decode pictures for people.
    pub turns: Turns,
    /// Tries captures that were in hand at several deaths of the process. None: they are rejected
    /// untried.
    pub trial: Option<Trial>,
}

/// The path from capture to result. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pipeline(Arc<Parts>);

impl Pipeline {
    /// A pipeline of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The worker threads, for status, watchdog and shutdown.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// The images that are kept.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.0.images
    }

    /// Keeps the image of a result that was reviewed, where the configuration says so and its file
    /// still holds its bytes.
    pub async fn keep_reviewed(&self, record: &Record) {
        let (Some(digest), Source::Folder(path)) = (record.capture.digest, &record.capture.source)
        else {
            return;
        };
        if self.0.images.wants_reviewed(&digest) {
            let bytes = self.file_of(record, path).await.map(|(bytes, _)| bytes);
            let pipeline = self.clone();
            let keep = move || pipeline.0.images.reviewed(&digest, bytes);
            if let Err(error) = tokio::task::spawn_blocking(keep).await {
                tracing::error!(%digest, "its image is not kept: {error}");
            }
        }
    }

    /// The model in service.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Whether the disk is below its floor; health is kept in step.
    pub fn disk_is_full(&self) -> bool {
        let owed = self.0.journal.audit_backlog();
        match self.0.journal.check_floor() {
            Ok(()) if owed > 0 => {
                let message = format!(
                    "{owed} records of the audit chain could not be stored; they are as soon as that is possible: free disk \
                     space, or look after the disk"
                );
                self.0.conditions.raise(Component::Disk, message);
                false
            }
            Ok(()) => {
                self.0.conditions.clear(&Component::Disk);
                false
            }
            Err(error @ JournalError::DiskFloor { .. }) => {
                self.0.conditions.raise(Component::Disk, error.to_string());
                true
            }
            // The commit will tell what is wrong.
            Err(_) => false,
        }
    }

    /// Whether the journal's name no longer leads to its file; health is kept in step.
    pub fn journal_is_moved(&self) -> bool {
        let Parts { journal, conditions, .. } = &*self.0;
        match journal.check_file() {
            Err(error) => conditions.raise(Component::JournalFile, error.to_string()),
            Ok(()) => conditions.clear(&Component::JournalFile),
        }
        conditions.holds(&Component::JournalFile)
    }

    /// Makes `entry` durable and keeps health in step with whether that worked.
    async fn commit(&self, entry: Entry) -> Result<Committed, JournalError> {
        let commit = self.0.journal.commit(entry);
        let committed = commit.instrument(tracing::debug_span!("commit")).await;
        match &committed {
            Ok(_) => {
                self.0.conditions.clear(&Component::Disk);
                self.0.conditions.clear(&Component::Journal);
            }
            Err(error @ JournalError::DiskFloor { .. }) => {
                self.0.conditions.raise(Component::Disk, error.to_string());
            }
            // These are about one entry; the journal itself is well.
            Err(JournalError::Stale { .. } | JournalError::Refused { .. }) => {}
            Err(error) => self.journal_failed(error),
        }
        committed
    }

    /// Reports that the journal cannot be used, until something is stored.
    fn journal_failed(&self, error: &JournalError) {
        let component = match error {
            JournalError::Moved { .. } => Component::JournalFile,
            _ => Component::Journal,
        };
        self.0.conditions.raise(component, error.to_string());
    }
}

/// What is known of a capture before it is examined.
pub(crate) struct Known {
    /// The first result's, should there be one.
    pub(crate) result_id: uuid::Uuid,
    pub(crate) capture: Capture,
    pub(crate) ids: CellIds,
}

impl Known {
    fn classified(
        self,
        examined: Examined,
        model: ModelRef,
        timings: Timings,
        now: Timestamp,
    ) -> Found {
        let timings =
            Timings { queue_us: timings.queue_us, read_us: timings.read_us, ..examined.timings };
        let blank = blank(self.result_id, self.ids, timings, now);
        Found::one(self.capture, judged(blank, examined, model))
    }

    /// The same for a capture with any number of cells.
    pub(crate) fn examined(
        mut self,
        examined: ExaminedCapture,
        model: &ModelRef,
        before: Timings,
        now: Timestamp,
    ) -> Found {
        let timings: Vec<_> =
            (0..examined.cells.len()).map(|place| examined.timings(place, before)).collect();
        let took_us = timings.iter().map(Timings::total_us).sum();
        let is_field = examined.field.is_some();
        if is_field {
            self.capture.kind = CaptureKind::Field;
        }
        let cells = (0..).zip(examined.cells).zip(timings).map(|((ordinal, cell), timings)| {
            // The first has the id of the capture's log lines.
            let id = if ordinal == 0 { self.result_id } else { uuid::Uuid::now_v7() };
            let mut ids = self.ids.clone();
            if is_field {
                ids.cell = cell_id(&ids.cell, ordinal);
            }
            let mut blank = blank(id, ids, timings, now);
            blank.ordinal = ordinal;
            if let Some(place) = &cell.place {
                blank.region = Some(place.region);
                blank.outline = Some(place.outline.iter().map(corner).collect());
            }
            judged(blank, cell.examined, model.clone())
        });
        let figures = examined.field;
        Found { cells: cells.collect(), capture: self.capture, figures, took_us }
    }

    pub(crate) fn rejected(
        self,
        reasons: Vec<Reason>,
        model: Option<ModelRef>,
        timings: Timings,
        now: Timestamp,
    ) -> Found {
        let finding = Finding { reasons, model, ..blank(self.result_id, self.ids, timings, now) };
        Found::one(self.capture, finding)
    }
}

/// The id of a cell of a field of view. The name's own number comes first: two fields of one slide
/// have a cell 0 each.
fn cell_id(name: &str, ordinal: u32) -> String {
    if name.is_empty() { ordinal.to_string() } else { format!("{name}.{ordinal}") }
}

/// A corner of an outline in whole pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the picture")]
fn corner(point: &segment::Point) -> [u32; 2] {
    [point.x, point.y].map(|at| at.round().max(0.0) as u32)
}

/// What the model says, in place of a rejection.
fn judged(blank: Finding, examined: Examined, model: ModelRef) -> Finding {
    Finding {
        p_all: Some(examined.p_all),
        decision: examined.judgement.decision,
        reasons: examined.judgement.reasons,
        quality_flags: examined.quality_flags,
        quality: Some(examined.quality),
        model: Some(model),
        ..blank
    }
}

/// A finding whose stages took so long.
fn blank(result_id: uuid::Uuid, ids: CellIds, timings: Timings, now: Timestamp) -> Finding {
    Finding { timings, ..Finding::blank(result_id, ids, now) }
}

/// Logs what the model said.
fn told(found: &Found) {
    let Some(first) = found.cells.first() else { return };
    tracing::debug!(
        decision = %first.decision,
        cells = found.cells.len(),
        infer_us = found.cells.iter().map(|cell| cell.timings.infer_us).sum::<u64>(),
        model = first.model.as_ref().map_or("", |model| &model.id),
        "classified"
    );
}
