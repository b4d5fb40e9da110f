//! Why a file gives no starting weights.

use std::path::PathBuf;

use super::comparison::Comparison;
use crate::fit::CheckpointError;

/// Why a file gives no starting weights. Each message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file cannot be read.
    #[error("{path}: the weights cannot be read: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The content is that of no kind of weights file.
    #[error(
        "{path}: {found}; give Keras' .h5, timm's or torchvision's .safetensors or .pth, a bundle \
         (.onnx) of leukd-train, or a run's folder"
    )]
    Kind {
        /// Which file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// It begins like a weights file, and then cannot be read.
    #[error("{path}: {kind} that cannot be read: {detail}; fetch or save it again")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What kind of file it seems to be.
        kind: &'static str,
        /// Where it goes wrong.
        detail: String,
    },
    /// A weights file of some other network, or saved in another way.
    #[error("{path}: {problem}")]
    Layout {
        /// Which file.
        path: PathBuf,
        /// What was looked for, what was found, and what to do.
        problem: String,
    },
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] CheckpointError),
    /// The tensors are not those of the network.
    #[error("{}", .0.refusal())]
    Misfit(Box<Comparison>),
}
