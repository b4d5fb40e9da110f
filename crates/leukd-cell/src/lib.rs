//! Bytes → pixels → measures → input tensor: pure functions that the daemon and the trainer share.
//!
//! The crate knows no model, no journal and no runtime.

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
pub mod words;

pub use complete::{Completeness, Format, completeness};
pub use decode::{Limits, decode};
pub use fault::{Fault, FaultKind};
pub use measures::Measures;
pub use quality::Quality;
pub use scratch::Scratch;
