//! The cells that are measured on.

use std::io::Write as _;
use std::path::Path;

use image::RgbImage;

use crate::cell::preprocess::{InputTensor, Preprocessing};
use crate::cell::synthetic::{self, Kind};
use crate::cell::{Limits, decode};
use crate::cli::error::CliError;
use crate::cli::images::{files, read_limited};
use crate::config::settings::Watch;

/// Bytes of `count` images: the folder's first by name, or drawn ones as a microscope would write
/// them.
///
/// # Errors
/// No such folder, or a file that cannot be read.
pub(super) fn read(folder: Option<&Path>, count: usize) -> Result<Vec<Vec<u8>>, CliError> {
    let Some(folder) = folder else {
        return Ok((0..count as u64).map(drawn).collect());
    };
    let files = files(&[folder.to_owned()], &Watch::default().ignore)?;
    let limit = Limits::default().max_bytes;
    let bytes = |file: &Path| {
        read_limited(file, limit)
            .map_err(|reason| CliError::Data(format!("{}: {}", file.display(), reason.message)))
    };
    files.iter().take(count).map(|file| bytes(file)).collect()
}

/// One drawn cell.
pub(super) fn drawn(seed: u64) -> Vec<u8> {
    let kind = if seed.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    synthetic::bmp(&synthetic::cell(seed, kind))
}

/// Their pixels.
///
/// # Errors
/// An image that cannot be decoded.
pub(super) fn pictures(cells: &[Vec<u8>]) -> Result<Vec<RgbImage>, CliError> {
    let limits = Limits::default();
    let picture =
        |bytes: &Vec<u8>| decode(bytes, &limits).map_err(|fault| CliError::Data(fault.to_string()));
    cells.iter().map(picture).collect()
}

/// The network's inputs for them.
///
/// # Errors
/// An image that cannot be decoded.
pub(super) fn inputs(
    cells: &[Vec<u8>],
    preprocessing: &Preprocessing,
) -> Result<Vec<InputTensor>, CliError> {
    let input = |picture: &RgbImage| {
        preprocessing.tensor(picture).map_err(|fault| CliError::Data(fault.to_string()))
    };
    pictures(cells)?.iter().map(input).collect()
}

/// Writes them as one NumPy array of f32 (format 1.0), the cells along its first axis.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(inputs: &[InputTensor], file: &Path) -> Result<(), CliError> {
    let Some(first) = inputs.first() else {
        return Err(CliError::NoInput("there are no cells".to_owned()));
    };
    let [_, a, b, c] = first.shape;
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {a}, {b}, {c}), }}",
        inputs.len()
    );
    // Magic, version and length take 10 bytes; the header ends with a line break, and the numbers
    // begin at 64 · n.
    let padding = 63 - (10 + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let written = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(fs_err::File::create(file)?);
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&u16::try_from(header.len()).unwrap_or_default().to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for value in inputs.iter().flat_map(|input| &input.data) {
            out.write_all(&value.to_le_bytes())?;
        }
        out.flush()
    };
    written().map_err(|error| CliError::Io(error.to_string()))
}
