//! A weights file of any kind as named tensors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use half::{bf16, f16};
use leukd_journal::result::Digest;

use super::fold::Origin;

/// Whose names and layout the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `keras.applications.EfficientNetB3`, with or without the seed's head.
    Keras,
    /// `timm`'s `tf_efficientnet_b3` and `efficientnet_b3`.
    Timm,
    /// `torchvision.models.efficientnet_b3`.
    Torchvision,
    /// A bundle of `leukd-train`.
    Bundle,
    /// A run of `leukd-train`.
    Run,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keras => "Keras",
            Self::Timm => "timm",
            Self::Torchvision => "torchvision",
            Self::Bundle => "leukd bundle",
            Self::Run => "leukd-train run",
        })
    }
}

/// A tensor of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The name that the file itself gives it.
    pub name: String,
    /// As the file has it.
    pub shape: Vec<usize>,
    /// Row by row; where its type is none of floating point, that type.
    pub values: Result<Vec<f32>, String>,
}

/// A tensor of the file that is rightly not applied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// The name that the file itself gives it.
    pub name: String,
    /// As the file has it.
    pub shape: Vec<usize>,
    /// Why.
    pub why: &'static str,
}

/// What a weights file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensors {
    /// Where it was read.
    pub path: PathBuf,
    /// Of the file's bytes; of a run's folder, those of its weights.
    pub digest: Digest,
    /// Whose names.
    pub format: Format,
    /// By the name that [`plan`](super::plan()) asks for.
    pub tensors: BTreeMap<String, Stored>,
    /// What needs no place.
    pub left_out: Vec<LeftOut>,
    /// What the network that the weights were made for does otherwise than ours.
    pub origin: Origin,
    /// What had to be assumed, and what stays different.
    pub notes: Vec<String>,
}

/// What a reader of one kind of file brings.
pub(super) struct Content {
    pub(super) format: Format,
    pub(super) tensors: BTreeMap<String, Stored>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) origin: Origin,
    pub(super) notes: Vec<String>,
}

/// Little-endian numbers of the type that safetensors and PyTorch call `kind`, as f32.
pub(super) fn decode(kind: &str, bytes: &[u8]) -> Result<Vec<f32>, String> {
    Ok(match kind {
        "F32" => bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
        "F64" => bytes.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x) as f32).collect(),
        "F16" => bytes.as_chunks().0.iter().map(|x| f16::from_le_bytes(*x).to_f32()).collect(),
        "BF16" => bytes.as_chunks().0.iter().map(|x| bf16::from_le_bytes(*x).to_f32()).collect(),
        other => return Err(other.to_owned()),
    })
}

/// A few of `names`, for a message.
pub(super) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let mut names: Vec<&str> = names.take(SHOWN + 1).collect();
    if names.len() > SHOWN {
        names[SHOWN] = "…";
    }
    names.join(", ")
}
