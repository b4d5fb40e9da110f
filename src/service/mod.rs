//! What leukd does for its callers: the one set of rules below every face.
//!
//! gRPC, the metrics page and every other face are encoders over this room. It knows the domain's
//! words alone: neither messages of a contract nor status codes.

mod error;
mod export;
mod feed;
mod gallery;
mod person;
mod results;
mod sign_off;
mod status;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use error::ServiceError;
pub use export::{CellCursor, LIKELIEST, MAX_READERS, MAX_REPORTED, Report};
pub use feed::{End, Feed, Start, Subscriber};
pub use gallery::{Gallery, ListedSpecimen, StoredCapture};
pub use person::is_unseen;
pub use results::{Page, Reviewed, SpecimenFigures, Standing};
pub use sign_off::SignedOff;
pub use status::{FolderStatus, Status};

use crate::clock::Clock;
use crate::condition::Conditions;
use crate::drift::Board;
use crate::ingest::Ingest;
use crate::journal::{AuditEvent, Journal, JournalError};
use crate::measure::{Calls, Counter, Pulse};
use crate::model::engine::EngineKind;
use crate::model::registry::ReloadError;
use crate::model::serving::Model;
use crate::pipeline::Pipeline;
use crate::result::{Digest, ModelRef, Timestamp};
use crate::telemetry::{self, LogLevel};

pub use crate::cell::name::MAX_ID;

/// The longest path, in bytes: Linux's PATH_MAX.
pub const MAX_PATH: usize = 4096;

/// Loads a bundle and swaps it in: what a reload asks of the daemon.
pub trait Reloader: Send + Sync + std::fmt::Debug {
    /// Loads `file`, or the configured bundle again, tests it and swaps it in. Blocks. Gives the
    /// digest of the model that served before. `by` is the caller, for the audit chain: `start`,
    /// `SIGHUP`, or the client.
    ///
    /// # Errors
    /// The bundle is missing, corrupt or fails its golden inputs, or another reload is under way;
    /// the model before stays in service.
    fn reload(&self, file: Option<PathBuf>, by: &str) -> Result<Option<Digest>, ReloadError>;
}

/// The limits of every face, from the settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest image of a request, in bytes.
    pub max_image_bytes: u64,
    /// Silence after which a subscription gets a sign of life.
    pub heartbeat: Duration,
    /// Events that may wait for one subscriber.
    pub subscriber_buffer: usize,
    /// A subscriber that takes nothing for this long is dropped.
    pub slow_after: Duration,
    /// Limit on open subscriptions.
    pub max_subscribers: u32,
    /// The folder that a reload may load from.
    pub model_folder: Option<PathBuf>,
    /// Configured fractions, ascending, that a specimen's blast fraction is compared with.
    pub specimen_flags: Vec<f64>,
    /// The number of people who must sign a specimen.
    pub sign_off_readers: u32,
}

/// The daemon as its faces see it.
#[derive(Debug)]
pub struct Service {
    /// Images → results.
    pub pipeline: Pipeline,
    /// The stored results.
    pub journal: Journal,
    /// The watched folders.
    pub ingest: Ingest,
    /// Swaps models.
    pub reloader: Arc<dyn Reloader>,
    /// Everything that is degraded now.
    pub conditions: Conditions,
    /// The limits.
    pub limits: Limits,
    /// The clock.
    pub clock: Clock,
    /// When the process started.
    pub started_at: Timestamp,
    /// When the model in service was put there.
    pub serving_since: Arc<arc_swap::ArcSwapOption<Timestamp>>,
    /// From process start to the first model in service.
    pub time_to_serving: Arc<OnceLock<Duration>>,
    /// Cancelled when the daemon stops: every stream ends.
    pub stop: CancellationToken,
    /// One permit a subscription, from [`Service::places`].
    pub places: Arc<Semaphore>,
    /// Every call of the network's faces, by method and code.
    pub calls: Arc<Calls>,
    /// Subscribers that were dropped because they took nothing.
    pub slow_dropped: Counter,
    /// When each part last showed that it lives.
    pub pulse: Arc<Pulse>,
    /// Counts of the last weeks.
    pub drift: Arc<Board>,
    /// How far the laboratory's store is; none where nothing is forwarded.
    pub forward: Option<leukd_fleet::Progress>,
}

/// The model in service.
#[derive(Debug, Clone)]
pub struct Served {
    /// The model.
    pub model: Arc<Model>,
    /// The engine that it was loaded on.
    pub engine: EngineKind,
    /// When it was put into service.
    pub since: Option<Timestamp>,
}

impl Service {
    /// One place for each subscription that `limit` allows.
    #[must_use]
    pub fn places(limit: u32) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS)))
    }

    /// The model in service; none before the first.
    #[must_use]
    pub fn served(&self) -> Option<Served> {
        let registry = self.pipeline.registry();
        let model = registry.current()?;
        let since = self.serving_since.load_full().map(|since| *since);
        Some(Served { model, engine: registry.kind(), since })
    }

    /// The share of real cells that the model in service was measured to doubt, with which model
    /// that is.
    #[must_use]
    pub fn expected_doubts(&self) -> Option<(ModelRef, Option<f64>)> {
        let model = self.pipeline.registry().current()?;
        let expected = model.manifest().reference.as_ref().map(|reference| reference.false_alarms);
        Some((model.reference(), expected))
    }

    /// Number of open subscriptions.
    #[must_use]
    pub fn subscribers(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.limits.max_subscribers.saturating_sub(free)
    }

    /// Loads a file of the model folder, or the configured bundle again where none is named, and
    /// puts it into service. Gives the digest of the model before.
    ///
    /// # Errors
    /// The name is not that of a file in the model folder, or the bundle cannot be used.
    pub async fn reload(
        self: &Arc<Self>,
        file: &str,
        by: String,
    ) -> Result<Option<Digest>, ServiceError> {
        let folder = self.limits.model_folder.as_deref();
        let file = if file.is_empty() { None } else { Some(status::bundle_path(folder, file)?) };
        let service = Arc::clone(self);
        let swapped = tokio::task::spawn_blocking(move || service.reloader.reload(file, &by));
        Ok(swapped.await.map_err(ServiceError::defect)??)
    }

    /// Changes the log's filter, for `lasts` or for good, and stores that in the audit chain.
    ///
    /// # Errors
    /// The filter is none, or the log is not leukd's own.
    pub async fn set_log_level(
        &self,
        filter: &str,
        lasts: Option<Duration>,
        by: String,
    ) -> Result<LogLevel, ServiceError> {
        let before = telemetry::level()?;
        let level = telemetry::set_level(filter, lasts, &by, &self.clock)?;
        let until = level.until.map(|until| until.to_rfc3339());
        let (from, to) = (before.filter, level.filter.clone());
        let stored = self.journal.audit(AuditEvent::LogLevel { by, from, to, until }).await;
        if let Err(error) = stored {
            tracing::error!(%error, "the audit chain has no record yet of a changed log level");
        }
        Ok(level)
    }

    /// Reads the journal off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let journal = self.journal.clone();
        let read = tokio::task::spawn_blocking(move || read(&journal)).await;
        Ok(read.map_err(ServiceError::defect)??)
    }
}
