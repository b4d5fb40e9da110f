//! Which operators a network runs on, and what became of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which operators a network runs on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// What leukd recognises of an EfficientNet runs on leukd's own fused operators, the rest on
    /// tract's.
    #[default]
    Fused,
    /// tract's operators alone.
    Stock,
}

impl EngineKind {
    /// Its word in settings, flags and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Stock => "stock",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What of a network runs on leukd's own operators.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fusion {
    /// The instructions that leukd's kernels use on this machine: `avx512`, `avx2` or `portable`;
    /// empty where nothing was fused.
    pub isa: String,
    /// First convolutions.
    pub stems: usize,
    /// Inverted-residual blocks.
    pub blocks: usize,
    /// 1×1 convolutions with SiLU that stand in no block, as the last one does.
    pub tops: usize,
    /// Operators left to tract.
    pub others: usize,
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { isa, stems, blocks, tops, others } = self;
        if stems + blocks + tops == 0 {
            return write!(f, "nothing fused, {others} operators of tract's");
        }
        write!(
            f,
            "{stems} stem, {blocks} blocks and {tops} top fused ({isa}); {others} operators of tract's"
        )
    }
}
