//! The gRPC face. The only room that names `tonic::Status`.

pub mod calls;
mod classifier;
mod control;
pub mod convert;
mod drift;
mod explainer;
mod guard;
mod meter;
mod methods;
mod oversize;
mod page;
pub mod proto;
mod results;
mod reviews;
mod server;
mod specimen;
mod status;
mod subscribe;
mod trace;
pub mod transport;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use server::{Entrance, Health, ServeError, serve};

use crate::clock::Clock;
use crate::condition::Conditions;
use crate::drift::Board;
use crate::ingest::Ingest;
use crate::journal::{Journal, JournalError};
use crate::measure::{Counter, Pulse};
use crate::model::registry::ReloadError;
use crate::pipeline::Pipeline;
use crate::result::{Digest, Timestamp};

/// Loads a bundle and swaps it in: what `ReloadModel` asks of the daemon.
pub trait Reloader: Send + Sync + std::fmt::Debug {
    /// Loads `file`, or the configured bundle again, tests it and swaps it in. Blocks. Gives the digest
    /// of the model that served before. `by` is who asked, for the audit chain: `start`, `SIGHUP`, or the client.
    ///
    /// # Errors
    /// The bundle is missing, corrupt or fails its golden inputs, or another reload is under way; the
    /// model before stays in service.
    fn reload(&self, file: Option<PathBuf>, by: &str) -> Result<Option<Digest>, ReloadError>;
}

/// The limits of the face, from the settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest image of a request, in bytes.
    pub max_image_bytes: u64,
    /// Silence after which a subscription gets a heartbeat.
    pub heartbeat: Duration,
    /// Events that may wait for one subscriber.
    pub subscriber_buffer: usize,
    /// A subscriber that takes nothing for this long is dropped.
    pub slow_after: Duration,
    /// Limit on open subscriptions.
    pub max_subscribers: u32,
    /// The folder that `ReloadModel` may load from.
    pub model_folder: Option<PathBuf>,
    /// Configured fractions, ascending, that a specimen's blast fraction is compared with.
    pub specimen_flags: Vec<f64>,
}

/// The services' parts.
#[derive(Debug)]
pub struct Context {
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
    /// One permit a subscription, from [`Context::places`].
    pub places: Arc<Semaphore>,
    /// Every call, by method and code.
    pub calls: Arc<calls::Calls>,
    /// Subscribers that were dropped because they took nothing.
    pub slow_dropped: Counter,
    /// When each part last showed that it lives.
    pub pulse: Arc<Pulse>,
    /// Counts of the last weeks.
    pub drift: Arc<Board>,
}

impl Context {
    /// One place for each subscription that `limit` allows.
    #[must_use]
    pub fn places(limit: u32) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS)))
    }

    fn model_card(&self) -> Option<proto::Model> {
        let registry = self.pipeline.registry();
        let model = registry.current()?;
        let since = self.serving_since.load_full().map(|since| *since);
        Some(convert::model(&model, registry.kind(), since))
    }

    /// Number of open subscriptions.
    #[must_use]
    pub fn subscribers(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.limits.max_subscribers.saturating_sub(free)
    }

    /// Reads the journal off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, tonic::Status> {
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || read(&journal)).await {
            Ok(result) => result.map_err(|error| status::journal(&error)),
            Err(error) => Err(status::internal(&error)),
        }
    }

    fn time_to_serving(&self) -> Option<Duration> {
        self.time_to_serving.get().copied()
    }
}
