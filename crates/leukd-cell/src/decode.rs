//! Bytes → pixels, under limits that are checked before anything is allocated by a header's word.

pub(super) mod bmp;
mod depth;
mod guard;
pub(super) mod jpeg;
pub(super) mod png;
pub(super) mod tiff;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::complete::{Outline, truncated};
use super::fault::{Fault, FaultKind};
use super::format::Format;
use super::scratch::Scratch;

/// Limits of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// The most pixels along either side.
    pub max_side: u32,
    /// The most memory for the decoded picture and its 8-bit copy together, in bytes.
    pub max_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_side: 8192, max_memory: 256 << 20 }
    }
}

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
    (outline.format.facts().decoder)(bytes, limits, spare)
}

fn check_sides((width, height): (u32, u32), limits: &Limits) -> Result<(), Fault> {
    if width == 0 || height == 0 {
        let message = format!("the picture has {width}×{height} pixels");
        return Err(Fault::new(FaultKind::Empty, message));
    }
    if width > limits.max_side || height > limits.max_side {
        let message = format!(
            "the picture has {width}×{height} pixels; at most {0}×{0} are allowed",
            limits.max_side
        );
        return Err(Fault::new(FaultKind::TooLarge, message));
    }
    Ok(())
}

fn check_memory((width, height): (u32, u32), needed: u64, limits: &Limits) -> Result<(), Fault> {
    if needed <= limits.max_memory {
        return Ok(());
    }
    let message = format!(
        "the picture of {width}×{height} pixels needs {needed} bytes of memory; at most {} are \
         allowed",
        limits.max_memory
    );
    Err(Fault::new(FaultKind::TooLarge, message))
}

/// The picture of `samples`, three a pixel.
fn picture(width: usize, height: usize, samples: Vec<u8>) -> RgbImage {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
    RgbImage::from_raw(side(width), side(height), samples).unwrap_or_default()
}

/// The picture turned and mirrored upright; `orientation` as in Exif.
fn oriented(picture: RgbImage, orientation: u8) -> RgbImage {
    match Orientation::from_exif(orientation) {
        None | Some(Orientation::NoTransforms) => picture,
        Some(orientation) => {
            let mut picture = DynamicImage::ImageRgb8(picture);
            picture.apply_orientation(orientation);
            picture.into_rgb8()
        }
    }
}

fn truncated_bmp(what: impl std::fmt::Display) -> Fault {
    truncated(Format::Bmp, what)
}

#[cfg(test)]
mod tests;
