//! Capture → result: the one path that both the folder and the RPCs take.
//!
//! A worker thread reads, hashes, decodes and classifies; the journal then makes the finding durable;
//! only after that does anyone hear of it.

mod again;
mod explain;
mod folder;
mod request;
mod trial;

use std::sync::Arc;

use tracing::Instrument as _;

pub use crate::model::examine::{ExamineError, Examined, examine, examine_and};
pub use again::Again;
pub use explain::{ExplainError, Explained, explain};
pub use request::{Classified, RequestError, RequestImage};
pub use trial::{TRIAL, Trial};

use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::clock::Clock;
use crate::condition::{Component, Conditions};
use crate::journal::images::Images;
use crate::journal::types::{Committed, Entry, Found};
use crate::journal::{Journal, JournalError};
use crate::model::pool::Pool;
use crate::model::registry::Registry;
use crate::result::{
    Capture, CellIds, Decision, Finding, ModelRef, Reason, Record, Source, Timestamp, Timings,
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
    /// Tries captures that were in hand at several deaths of the process. None: they are rejected untried.
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

    /// Keeps the image of a result that was reviewed, where the configuration says so and its file still holds its bytes.
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
            Err(error) => self.0.conditions.raise(Component::Journal, error.to_string()),
        }
        committed
    }
}

/// What is known of a capture before it is examined.
struct Known {
    /// The result's, should there be one.
    result_id: uuid::Uuid,
    capture: Capture,
    ids: CellIds,
}

impl Known {
    fn classified(
        self,
        examined: Examined,
        model: ModelRef,
        timings: Timings,
        now: Timestamp,
    ) -> Found {
        let finding = Finding {
            p_all: Some(examined.p_all),
            decision: examined.judgement.decision,
            reasons: examined.judgement.reasons,
            quality_flags: examined.quality_flags,
            quality: Some(examined.quality),
            model: Some(model),
            timings: Timings {
                queue_us: timings.queue_us,
                read_us: timings.read_us,
                ..examined.timings
            },
            ..blank(self.result_id, self.ids, timings, now)
        };
        Found::one(self.capture, finding)
    }

    fn rejected(
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

/// A rejection without a reason yet, of a capture's only cell.
fn blank(result_id: uuid::Uuid, ids: CellIds, timings: Timings, now: Timestamp) -> Finding {
    Finding {
        result_id: result_id.to_string(),
        ordinal: 0,
        region: None,
        outline: None,
        ids,
        p_all: None,
        decision: Decision::Rejected,
        reasons: Vec::new(),
        quality_flags: Vec::new(),
        quality: None,
        model: None,
        classified_at: now,
        timings,
    }
}

/// Logs what the model said.
fn told(found: &Found) {
    let Some(finding) = found.cells.first() else { return };
    tracing::debug!(
        decision = %finding.decision,
        infer_us = finding.timings.infer_us,
        model = finding.model.as_ref().map_or("", |model| &model.id),
        "classified"
    );
}
