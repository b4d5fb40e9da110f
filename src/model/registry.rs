//! Which model serves now, and how another takes its place.

use std::sync::{Arc, Mutex, TryLockError};

use arc_swap::ArcSwapOption;

use super::bundle::{BundleError, BundleSource};
use super::engine::EngineKind;
use super::serving::{Model, ModelError};

/// The model in service. Readers never wait: a capture that has begun ends with the model it began with.
#[derive(Debug, Default)]
pub struct Registry {
    /// The engine of every model that is loaded here.
    kind: EngineKind,
    current: ArcSwapOption<Model>,
    reloading: Mutex<()>,
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
}

impl Registry {
    /// Without a model; those that come run on the fused engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Without a model; those that come run on the engine of this kind, after every reload too.
    #[must_use]
    pub fn on(kind: EngineKind) -> Self {
        Self { kind, ..Self::default() }
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

    /// Reads, compiles and tests the bundle from `source` and then puts it into service. Blocks for as
    /// long as that takes, up to some seconds. On any error the model before it stays in service.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub fn reload(&self, source: &BundleSource) -> Result<Reloaded, ReloadError> {
        let _one_at_a_time = match self.reloading.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::WouldBlock) => return Err(ReloadError::Busy),
            // The lock guards no data: a reload that panicked left nothing behind.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let bundle = source.read()?;
        let origin = bundle.origin().to_owned();
        let model = Model::load_on(bundle, self.kind)
            .map_err(|source| ReloadError::Model { origin, source })?;
        let model = Arc::new(model);
        let previous = self.swap(Arc::clone(&model));
        Ok(Reloaded { model, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reload_at_a_time() {
        let registry = Registry::new();
        let under_way = registry.reloading.lock().unwrap();
        assert!(matches!(registry.reload(&BundleSource::Embedded), Err(ReloadError::Busy)));
        drop(under_way);
        assert!(registry.reload(&BundleSource::Embedded).is_ok());
    }
}
