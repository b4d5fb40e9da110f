//! A weights file of any kind as named tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use leukd_journal::result::Digest;

use super::error::InitError;
use super::fold::Origin;
use super::{keras, own, torch};

/// The largest file that is read: B3 in f64 with an optimizer's moments has some 0.4 GB.
const MOST_BYTES: u64 = 2 << 30;

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

/// Reads the weights in `path`: a file of any kind that [the table](super) names, known by its
/// content, or a run's folder, of which the last epoch's weights are taken.
///
/// # Errors
///
/// See [`InitError`].
pub fn read(path: &Path) -> Result<Tensors, InitError> {
    let error = |source| InitError::File { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(error)?;
    let file = if metadata.is_dir() { own::weights_of_run(path)? } else { path.to_owned() };
    // Looked at before it is opened: opening a named pipe would wait for its writer.
    let metadata = std::fs::metadata(&file).map_err(error)?;
    if !metadata.is_file() {
        return Err(error(std::io::Error::other("it is neither a file nor a folder")));
    }
    let kind = |found: String| InitError::Kind { path: path.to_owned(), found };
    if metadata.len() > MOST_BYTES {
        return Err(kind(format!("{} bytes; at most {MOST_BYTES} are read", metadata.len())));
    }
    let bytes = std::fs::read(&file).map_err(error)?;
    let content = match Kind::of(&bytes).map_err(|found| kind(found.to_owned()))? {
        Kind::Hdf5 => keras::read(path, &bytes)?,
        Kind::Safetensors => torch::read_safetensors(path, &bytes)?,
        Kind::Pytorch => torch::read_pytorch(path)?,
        Kind::Burnpack => own::read_burnpack(path, &bytes)?,
        Kind::Onnx => own::read_bundle(path, &bytes)?,
    };
    let Content { format, tensors, left_out, origin, notes } = content;
    let digest = Digest::of(&bytes);
    Ok(Tensors { path: path.to_owned(), digest, format, tensors, left_out, origin, notes })
}

enum Kind {
    Hdf5,
    Safetensors,
    Pytorch,
    Burnpack,
    Onnx,
}

impl Kind {
    /// By the first bytes, as `file(1)` would; or what they look like instead.
    fn of(bytes: &[u8]) -> Result<Self, &'static str> {
        // A safetensors header's length is bounded by the crate at 100 MB.
        let header = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
        if bytes.is_empty() {
            Err("the file is empty")
        } else if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
            Ok(Self::Hdf5)
        } else if bytes.starts_with(b"PK\x03\x04") {
            if contains(bytes, b"model.weights.h5") {
                Err("a .keras archive, which leukd-train does not read: load it in Keras and \
                     save it with model.save(\"model.h5\")")
            } else {
                Ok(Self::Pytorch)
            }
        } else if bytes.starts_with(b"NRUB") {
            // burn_pack's magic number, little-endian.
            Ok(Self::Burnpack)
        } else if header.is_some_and(|length| length <= 100_000_000) && bytes.get(8) == Some(&b'{')
        {
            Ok(Self::Safetensors)
        } else if matches!(bytes, [0x80, 2..=5, ..]) || bytes.get(257..262) == Some(b"ustar") {
            // A bare pickle (PyTorch before 1.6) or a tar (before 0.1.10).
            Ok(Self::Pytorch)
        } else if bytes.starts_with(b"version https://git-lfs") {
            Err("a Git LFS pointer, not the file itself: run `git lfs pull`")
        } else if bytes.trim_ascii_start().starts_with(b"<") {
            Err("a web page or XML, not weights: was a page saved in place of the download?")
        } else if bytes.iter().take(512).all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 32..127))
        {
            Err("plain text, not weights")
        } else if bytes.first() == Some(&0x08) {
            // ONNX: a protobuf whose first field is the version of its format.
            Ok(Self::Onnx)
        } else {
            Err("its first bytes are those of no known kind of weights file")
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
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
