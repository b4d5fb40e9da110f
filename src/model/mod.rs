//! What classifies: bundle, engine, workers.

pub mod band;
pub mod bundle;
mod embedded;
pub mod engine;
pub mod file;
pub mod gate;
pub mod head;
pub mod heatmap;
pub mod manifest;
pub mod pool;
pub mod reference;
pub mod registry;
pub mod serving;
#[doc(hidden)]
pub mod testing;
pub mod trust;
pub mod verdict;
pub mod weights;

pub use engine::onnx;
