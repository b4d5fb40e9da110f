//! How weights follow the gradient, and their average over time.

mod adamax;
mod average;

use burn::optim::{AdamWConfig, ModuleOptimizer};

pub use adamax::{Adamax, AdamaxState};
pub use average::Average;

use crate::recipe::{OptimizerKind, OptimizerSettings};

/// The optimizer that a recipe asks for, with no steps done.
#[must_use]
pub fn optimizer(settings: &OptimizerSettings) -> ModuleOptimizer {
    match settings.kind {
        OptimizerKind::Adamax => ModuleOptimizer::from(Adamax::keras()),
        OptimizerKind::AdamW => AdamWConfig::new().with_weight_decay(settings.weight_decay).init(),
    }
}
