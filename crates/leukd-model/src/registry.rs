//! Which model serves now, and how another takes its place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use arc_swap::ArcSwapOption;

use crate::bundle::{Bundle, BundleError, BundleSource};
use crate::engine::EngineKind;
use crate::gate::Limits;
use crate::serving::{Model, ModelError};
use crate::trust::Trust;

/// The model in service. Readers never wait: a capture that has begun ends with the model it began
/// with.
#[derive(Debug, Default)]
pub struct Registry {
    /// The engine of every model that is loaded here.
    kind: EngineKind,
    admission: Admission,
    review: Option<(f64, f64)>,
    current: ArcSwapOption<Model>,
    reloading: Mutex<()>,
    /// How loads have ended since the process began.
    pub loads: Loads,
}

/// Loads by how they ended.
#[derive(Debug, Default)]
pub struct Loads {
    /// The model serves, or did.
    pub served: AtomicU64,
    /// The bundle was refused: it cannot be read, or failed a test.
    pub refused: AtomicU64,
    /// Another load was under way.
    pub busy: AtomicU64,
}

/// Which bundles may serve.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// Whose, or which by name.
    pub trust: Trust,
    /// How large.
    pub limits: Limits,
}

/// What a reload did.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// The model that serves now.
    pub model: Arc<Model>,
    /// The one that served before.
    pub previous: Option<Arc<Model>>,
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Another reload is under way.
    #[error("another reload is under way: try again when it has ended")]
    Busy,
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The model cannot serve.
    #[error("{origin}: {source}")]
    Model {
        /// The bundle's origin.
        origin: String,
        /// What is wrong.
        source: ModelError,
    },
    /// Loading it was a defect; the log tells where.
    #[error(
        "{origin}: loading it came to an unexpected end, which is a defect of leukd's or of the bundle"
    )]
    Panicked {
        /// The bundle's origin.
        origin: String,
    },
}

impl Registry {
    /// Without a model; those that come run on the fused engine, and none but signed ones could: no
    /// key is trusted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Without a model; those that come run on the engine of this kind, after every reload too.
    #[must_use]
    pub fn on(kind: EngineKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// The same, for the bundles that `admission` lets in.
    #[must_use]
    pub fn admitting(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same; models that come decide by the hull of their own review band and this one,
    /// `[lower, upper)` of P(all).
    #[must_use]
    pub fn deciding(self, review: Option<(f64, f64)>) -> Self {
        Self { review, ..self }
    }

    /// The engine that models are loaded on.
    #[must_use]
    pub const fn kind(&self) -> EngineKind {
        self.kind
    }

    /// The model in service.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Model>> {
        self.current.load_full()
    }

    /// Puts `model` into service and gives back the one before.
    pub fn swap(&self, model: Arc<Model>) -> Option<Arc<Model>> {
        self.current.swap(Some(model))
    }

    /// Reads, admits, compiles and tests the bundle from `source` and then puts it into service.
    /// Blocks for as long as that takes, up to some seconds. On any error the model before it stays
    /// in service.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub fn reload(&self, source: &BundleSource) -> Result<Reloaded, ReloadError> {
        let reloaded = self.try_reload(source);
        let ended = match &reloaded {
            Ok(_) => &self.loads.served,
            Err(ReloadError::Busy) => &self.loads.busy,
            Err(_) => &self.loads.refused,
        };
        ended.fetch_add(1, Ordering::Relaxed);
        reloaded
    }

    fn try_reload(&self, source: &BundleSource) -> Result<Reloaded, ReloadError> {
        let _one_at_a_time = match self.reloading.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::WouldBlock) => return Err(ReloadError::Busy),
            // The lock guards no data: a reload that panicked left nothing behind.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        // The bytes are read once: those that are signed are those that are loaded.
        let file = source.file(self.admission.limits.max_bytes).map_err(BundleError::from)?;
        let origin = file.origin();
        let provenance = self.admission.trust.admit(&file).map_err(|source| {
            BundleError::Untrusted { origin: origin.clone(), source: Box::new(source) }
        })?;
        // What lies in the binary needs no limits: they are for what comes from elsewhere.
        let limits = if file.is_embedded() { Limits::default() } else { self.admission.limits };
        let model = surviving(&origin, || {
            let bundle = Bundle::of(&file, provenance, &limits)?;
            let origin = origin.clone();
            Model::load_on(bundle, self.kind)
                .and_then(|model| model.deciding(self.review))
                .map_err(|source| ReloadError::Model { origin, source })
        })?;
        let model = Arc::new(model);
        let previous = self.swap(Arc::clone(&model));
        Ok(Reloaded { model, previous })
    }
}

/// A load that panics is a load that failed.
fn surviving(
    origin: &str,
    load: impl FnOnce() -> Result<Model, ReloadError>,
) -> Result<Model, ReloadError> {
    let panicked = |_| Err(ReloadError::Panicked { origin: origin.to_owned() });
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_panics_is_an_error_that_names_the_bundle() {
        let error = surviving("bad.onnx", || panic!("an operator gave up")).unwrap_err();
        assert!(matches!(&error, ReloadError::Panicked { origin } if origin == "bad.onnx"));
        assert!(error.to_string().starts_with("bad.onnx: "), "{error}");
    }

    #[test]
    fn one_reload_at_a_time() {
        let registry = Registry::new();
        let under_way = registry.reloading.lock().unwrap();
        assert!(matches!(registry.reload(&BundleSource::Embedded), Err(ReloadError::Busy)));
        drop(under_way);
        assert!(registry.reload(&BundleSource::Embedded).is_ok());
    }
}
