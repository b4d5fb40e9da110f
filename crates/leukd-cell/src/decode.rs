//! Bytes → pixels, under limits that are checked before anything is allocated by a header's word.

pub(super) mod bmp;
mod depth;
mod guard;
pub(super) mod jpeg;
mod limits;
pub(super) mod png;
mod raster;
pub(super) mod tiff;

use image::RgbImage;

use super::complete::Outline;
use super::fault::{Fault, FaultKind};
use super::format::Format;
use super::scratch::Scratch;
use limits::check_sides;

pub use limits::Limits;

/// The pixels of a BMP, PNG, TIFF or JPEG file, 8 bits each of red, green and blue: those that
/// Pillow, libtiff and libjpeg-turbo read, or a fault (`docs/guide/formats.md`).
///
/// Greys become equal red, green and blue. 16-bit samples become the nearest of 256 levels
/// (`(v + 128) / 257`). Transparent pixels are laid over black, the background of a segmented cell.
/// The orientation in Exif data, or of a TIFF, is applied, as viewers do.
///
/// # Errors
///
/// A [`Fault`] of any kind: what is wrong and, where there is one, the limit that it breaks.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Fault> {
    decode_into(bytes, limits, &mut Vec::new())
}

/// [`decode`] in the memory of `scratch`, where the format allows.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_with(
    scratch: &mut Scratch,
    bytes: &[u8],
    limits: &Limits,
) -> Result<RgbImage, Fault> {
    decode_into(bytes, limits, &mut scratch.pixels)
}

/// [`decode`], in the memory of `spare` where the format allows; whatever that held is gone then.
fn decode_into(bytes: &[u8], limits: &Limits, spare: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    if bytes.len() as u64 > limits.max_bytes {
        let message =
            format!("the file has {} bytes; at most {} are allowed", bytes.len(), limits.max_bytes);
        return Err(Fault::new(FaultKind::TooLarge, message));
    }
    guard::guarded(|| read(bytes, limits, spare)).unwrap_or_else(|| {
        let message = "the picture cannot be decoded: leukd's reader failed on it. Save it as \
                       another format, and report the file";
        Err(Fault::new(FaultKind::Corrupt, message))
    })
}

fn read(bytes: &[u8], limits: &Limits, spare: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    let outline = Outline::of(bytes)?;
    // What the header promises is judged first: no waiting makes a picture of 20,000 × 20,000
    // smaller.
    if let Some(dimensions) = outline.dimensions {
        check_sides(dimensions, limits)?;
    }
    if let Some(fault) = outline.fault {
        return Err(fault);
    }
    match outline.format {
        Format::Bmp => bmp::read(bytes, limits, spare),
        Format::Png => png::read(bytes, limits, spare),
        Format::Tiff => tiff::read(bytes, limits, spare),
        Format::Jpeg => jpeg::read(bytes, limits, spare),
    }
}

#[cfg(test)]
mod tests;
