//! Duration of the stages from a file to a result.

use serde::{Deserialize, Serialize};

/// Duration of each stage, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From ready until a worker took it.
    pub queue_us: u64,
    /// Reading the file.
    pub read_us: u64,
    /// Bytes to pixels, with the completeness check and the quality measures.
    pub decode_us: u64,
    /// Pixels to the network's input.
    pub preprocess_us: u64,
    /// The network.
    pub infer_us: u64,
}

impl Timings {
    /// All stages together, in microseconds.
    #[must_use]
    pub const fn total_us(&self) -> u64 {
        self.queue_us + self.read_us + self.decode_us + self.preprocess_us + self.infer_us
    }
}
