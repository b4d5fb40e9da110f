//! Which bundle the daemon serves: loading at start, reloading on request.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::Clock;
use crate::condition::{Component, Conditions};
use crate::config::settings::{self, Engine};
use crate::journal::{AuditEvent, JournalError, WeakJournal};
use crate::model::bundle::BundleSource;
use crate::model::engine::EngineKind;
use crate::model::gate::Limits;
use crate::model::registry::{Admission, Registry, ReloadError};
use crate::model::trust::{KeyError, Trust};
use crate::result::{Digest, ModelRef, Timestamp};
use crate::service::Reloader;

/// The setting as the engine calls it: settings stand below the model and do not know its words.
pub(super) const fn kind(engine: Engine) -> EngineKind {
    match engine {
        Engine::Fused => EngineKind::Fused,
        Engine::Stock => EngineKind::Stock,
    }
}

/// Whose bundles are let in, and how large ones.
///
/// # Errors
/// A trusted key that is none.
pub(super) fn admission(settings: &settings::Model) -> Result<Admission, KeyError> {
    Ok(Admission {
        trust: Trust::new(&settings.trusted_keys, &settings.allow_unsigned)?,
        limits: Limits { max_bytes: settings.max_file.0, max_memory: settings.max_memory.0 },
    })
}

/// Loads bundles into the registry, and reports each load.
#[derive(Debug)]
pub(super) struct ModelKeeper {
    pub(super) registry: Arc<Registry>,
    pub(super) configured: BundleSource,
    pub(super) conditions: Conditions,
    pub(super) clock: Clock,
    pub(super) serving_since: Arc<ArcSwapOption<Timestamp>>,
    pub(super) time_to_serving: Arc<OnceLock<Duration>>,
    /// Where the audit chain is, once it is known; empty where the journal did not open.
    pub(super) journal: Arc<OnceLock<WeakJournal>>,
    /// True once a model is in service.
    pub(super) serves: tokio::sync::watch::Sender<bool>,
}

/// The first load, on its way.
pub(super) type Loading = std::thread::JoinHandle<Result<Option<Digest>, ReloadError>>;

impl ModelKeeper {
    /// Without a model; `configured` is loaded, on this engine, unless a reload names another.
    /// `review` is what the settings say of every model's review band.
    pub(super) fn new(
        configured: BundleSource,
        engine: EngineKind,
        admission: Admission,
        review: Option<(f64, f64)>,
        conditions: Conditions,
        clock: Clock,
    ) -> Self {
        Self {
            registry: Arc::new(Registry::on(engine).admitting(admission).deciding(review)),
            configured,
            conditions,
            clock,
            serving_since: Arc::new(ArcSwapOption::empty()),
            time_to_serving: Arc::new(OnceLock::new()),
            journal: Arc::default(),
            serves: tokio::sync::watch::Sender::new(false),
        }
    }

    /// Begins to load the configured bundle, on a thread of its own: there may be no runtime yet.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn begin(self: &Arc<Self>) -> std::io::Result<Loading> {
        // A failure is logged, shown by GetStatus and fixed by a reload.
        self.conditions.raise_expected(Component::Model, "the model is being loaded");
        let keeper = Arc::clone(self);
        let thread = std::thread::Builder::new().name("leukd-model".to_owned());
        thread.spawn(move || keeper.reload(None, "start"))
    }
}

impl Reloader for ModelKeeper {
    fn reload(&self, file: Option<PathBuf>, by: &str) -> Result<Option<Digest>, ReloadError> {
        let source = file.map_or_else(|| self.configured.clone(), BundleSource::File);
        let started = self.clock.monotonic();
        let before = self.registry.current().map(|model| model.reference());
        match self.registry.reload(&source) {
            Ok(reloaded) => {
                let now = self.clock.monotonic();
                self.serving_since.store(Some(Arc::new(self.clock.wall())));
                let first = self.time_to_serving.set(now).is_ok();
                self.conditions.clear(&Component::Model);
                self.serves.send_replace(true);
                tracing::info!(
                    model = reloaded.model.manifest().id,
                    digest = %reloaded.model.digest(),
                    origin = reloaded.model.origin(),
                    trust = %reloaded.model.provenance(),
                    engine = %self.registry.kind(),
                    fusion = %reloaded.model.fusion(),
                    review = ?reloaded.model.band().in_force(),
                    load_ms = millis(now.saturating_sub(started)),
                    since_start_ms = millis(now),
                    "{}",
                    if first { "serving" } else { "model reloaded" }
                );
                if let Some(warning) = reloaded.model.band().warning() {
                    tracing::warn!("{warning}");
                }
                let to = Some(reloaded.model.reference());
                let previous = reloaded.previous;
                let from = previous.as_ref().map(|model| model.reference());
                let trust = Some(reloaded.model.provenance().to_string());
                self.record(by, &source, Told { from, to, trust, failure: None });
                Ok(previous.map(|model| model.digest()))
            }
            Err(error) => {
                tracing::error!("model not loaded: {error}");
                if self.registry.current().is_none() && !matches!(error, ReloadError::Busy) {
                    self.conditions.raise(
                        Component::Model,
                        format!(
                            "no model is in service: {error}; mend the bundle, then `leukd reload`"
                        ),
                    );
                }
                if !matches!(error, ReloadError::Busy) {
                    let failure = Some(error.to_string());
                    let told = Told { from: before, failure, ..Told::default() };
                    self.record(by, &source, told);
                }
                Err(error)
            }
        }
    }
}

/// Outcome of a load.
#[derive(Debug, Default)]
struct Told {
    from: Option<ModelRef>,
    to: Option<ModelRef>,
    trust: Option<String>,
    failure: Option<String>,
}

impl ModelKeeper {
    /// Tells the audit chain of a load. The first may end before the journal is open.
    fn record(&self, by: &str, source: &BundleSource, told: Told) {
        let Some(journal) = self.journal.wait().upgrade() else { return };
        let (by, origin) = (by.to_owned(), origin(source));
        let Told { from, to, trust, failure } = told;
        match journal.audit_blocking(AuditEvent::Model { by, origin, from, to, trust, failure }) {
            Ok(_) => {}
            Err(JournalError::Closed) => {
                tracing::info!("leukd stopped while a model was loaded: no record of that load");
            }
            Err(error) => {
                tracing::error!(%error, "the audit chain has no record yet of a model's loading");
            }
        }
    }
}

/// A bundle's place, in words.
pub(super) fn origin(source: &BundleSource) -> String {
    match source {
        BundleSource::Embedded => "embedded".to_owned(),
        BundleSource::File(path) => path.display().to_string(),
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
