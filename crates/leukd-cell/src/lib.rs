//! Bytes → pixels → measures → the network's input. Pure functions, shared by the daemon and the
//! trainer.

pub mod annotated;
pub mod caption;
pub mod complete;
pub mod decode;
pub mod digest;
pub mod extensions;
pub mod fault;
pub mod figures;
pub mod foreground;
pub mod foreign;
pub mod format;
mod interior;
pub mod measures;
pub mod morphometry;
pub mod name;
mod orientation;
mod other_formats;
pub mod overlay;
mod pixel_size;
pub mod preprocess;
pub mod quality;
pub mod scratch;
pub mod segment;
pub mod standardise;
mod structure;
pub mod synthetic;
pub mod timings;
pub mod words;
mod xmp;

pub use complete::{Completeness, completeness};
pub use decode::{Limits, decode, decode_with};
pub use digest::Digest;
pub use fault::{Fault, FaultKind};
pub use format::{FORMATS, Format, format_names};
pub use measures::Measures;
pub use morphometry::Morphometry;
pub use name::CellIds;
pub use pixel_size::pixel_size;
pub use scratch::Scratch;
pub use words::{Decision, Reason};
