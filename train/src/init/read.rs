//! A file of weights → named tensors, by the file's content.

use std::path::Path;

use leukd_journal::result::Digest;

use super::error::InitError;
use super::tensors::{Content, Tensors};
use super::{keras, own, torch};

/// The largest file, in bytes: B3 in f64 with an optimizer's moments has some 0.4 GB.
const MAX_BYTES: u64 = 2 << 30;

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
    if metadata.len() > MAX_BYTES {
        return Err(kind(format!("{} bytes; at most {MAX_BYTES} are read", metadata.len())));
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
