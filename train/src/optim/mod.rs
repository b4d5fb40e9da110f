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
        // β and ε of the paper and of PyTorch, not burn's. As in PyTorch, the decay falls on every
        // parameter, biases and normalisations included.
        OptimizerKind::AdamW => AdamWConfig::new()
            .with_beta_1(0.9)
            .with_beta_2(0.999)
            .with_epsilon(1e-8)
            .with_weight_decay(settings.weight_decay)
            .init(),
    }
}
