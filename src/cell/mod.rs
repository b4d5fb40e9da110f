//! Bytes → pixels → quality → input tensor. Pure functions, shared with the trainer.

pub mod complete;
pub mod decode;
pub mod fault;
pub mod foreign;
mod interior;
pub mod measures;
pub mod name;
pub mod overlay;
pub mod preprocess;
pub mod quality;
pub mod scratch;
pub mod standardise;
pub mod synthetic;

pub use complete::{Completeness, Format, completeness};
pub use decode::{Limits, decode};
pub use fault::{Fault, FaultKind};
pub use measures::Measures;
pub use quality::Quality;
pub use scratch::Scratch;
