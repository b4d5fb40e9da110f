//! How weights follow the gradient, and their average over time.

mod adamax;
mod adamw;
mod average;

use burn::optim::ModuleOptimizer;

pub use adamax::{Adamax, AdamaxState};
pub use adamw::{AdamW, Moments};
pub use average::Average;

use crate::recipe::{OptimizerKind, OptimizerSettings};

/// The optimizer that a recipe asks for, with no steps done.
#[must_use]
pub fn optimizer(settings: &OptimizerSettings) -> ModuleOptimizer {
    match settings.kind {
        OptimizerKind::Adamax => ModuleOptimizer::from(Adamax::keras()),
        OptimizerKind::AdamW => ModuleOptimizer::from(AdamW::new(settings.weight_decay)),
    }
}
