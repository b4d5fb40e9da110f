//! Model bundles, what lets them in, the engine that runs them and the workers that it runs on.

pub mod band;
pub mod bundle;
pub mod curves;
pub mod discriminant;
mod embedded;
pub mod engine;
pub mod examine;
pub mod field;
pub mod file;
pub mod gate;
pub mod head;
pub mod heatmap;
pub mod manifest;
mod manifest_error;
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
pub use leukd_cell::words::ModelRef;
