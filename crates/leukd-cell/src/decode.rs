//! Bytes → pixels, under limits that are checked before anything is allocated by a header's word.

mod bmp;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use super::complete::{Format, Outline};
use super::fault::{Fault, FaultKind};
use super::scratch::Scratch;

/// What one picture may take.
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

/// The pixels of a BMP, PNG, TIFF or JPEG file, 8 bits each of red, green and blue.
///
/// Greys become equal red, green and blue. 16-bit samples become the nearest of 256 levels
/// (`(v + 128) / 257`). Transparent pixels are laid over black, the background of a segmented cell.
/// Of a file with several pictures the first counts; an orientation tag is not applied.
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
    let outline = Outline::of(bytes)?;
    // What the header promises is judged first: no waiting makes a picture of 20,000 × 20,000 smaller.
    if let Some(dimensions) = outline.dimensions {
        check_sides(dimensions, limits)?;
    }
    if let Some(fault) = outline.fault {
        return Err(fault);
    }
    if outline.format == Format::Bmp
        && let Some(rows) = bmp::Rows::of(bytes)
    {
        check_memory((rows.width, rows.height), rows.samples(), limits)?;
        return Ok(rows.picture(std::mem::take(spare)));
    }
    by_library(bytes, outline.format, limits)
}

fn by_library(bytes: &[u8], format: Format, limits: &Limits) -> Result<RgbImage, Fault> {
    let failed = |error| fault_of(format, &error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format_of(format));
    let mut own = image::Limits::default();
    own.max_image_width = Some(limits.max_side);
    own.max_image_height = Some(limits.max_side);
    own.max_alloc = Some(limits.max_memory);
    reader.limits(own);
    let decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_sides((width, height), limits)?;
    let copied = match decoder.color_type() {
        image::ColorType::Rgb8 => 0,
        _ => u64::from(width) * u64::from(height) * 3,
    };
    let needed = decoder.total_bytes().saturating_add(copied);
    check_memory((width, height), needed, limits)?;
    to_rgb(DynamicImage::from_decoder(decoder).map_err(failed)?)
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
        "the picture of {width}×{height} pixels needs {needed} bytes of memory; at most {} are allowed",
        limits.max_memory
    );
    Err(Fault::new(FaultKind::TooLarge, message))
}

const fn format_of(format: Format) -> ImageFormat {
    match format {
        Format::Bmp => ImageFormat::Bmp,
        Format::Png => ImageFormat::Png,
        Format::Tiff => ImageFormat::Tiff,
        Format::Jpeg => ImageFormat::Jpeg,
    }
}

fn fault_of(format: Format, error: &ImageError) -> Fault {
    let kind = match error {
        ImageError::Limits(_) => FaultKind::TooLarge,
        ImageError::Unsupported(_) => FaultKind::Unsupported,
        _ => FaultKind::Corrupt,
    };
    Fault::new(kind, format!("the {format} cannot be decoded: {error}"))
}

fn to_rgb(picture: DynamicImage) -> Result<RgbImage, Fault> {
    match picture {
        DynamicImage::ImageRgb8(picture) => Ok(picture),
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageRgb16(_) => Ok(picture.into_rgb8()),
        DynamicImage::ImageRgba8(from) => {
            Ok(over_black(from.dimensions(), from.pixels().map(|pixel| pixel.0.map(wide))))
        }
        DynamicImage::ImageRgba16(from) => {
            Ok(over_black(from.dimensions(), from.pixels().map(|pixel| pixel.0)))
        }
        DynamicImage::ImageLumaA8(from) => {
            let pixels = from.pixels().map(|pixel| {
                let [grey, alpha] = pixel.0.map(wide);
                [grey, grey, grey, alpha]
            });
            Ok(over_black(from.dimensions(), pixels))
        }
        DynamicImage::ImageLumaA16(from) => {
            let pixels = from.pixels().map(|pixel| {
                let [grey, alpha] = pixel.0;
                [grey, grey, grey, alpha]
            });
            Ok(over_black(from.dimensions(), pixels))
        }
        other => {
            let message = format!("pixels of the kind {:?} are not supported", other.color());
            Err(Fault::new(FaultKind::Unsupported, message))
        }
    }
}

/// 8 bits spread over 16: 0 stays 0 and 255 becomes 65,535.
fn wide(sample: u8) -> u16 {
    u16::from(sample) * 257
}

/// Colour times opacity, rounded to 8 bits.
fn over_black((width, height): (u32, u32), pixels: impl Iterator<Item = [u16; 4]>) -> RgbImage {
    const FULL: u64 = 65_535;
    const LEVEL: u64 = FULL * 257;
    let mut samples = Vec::with_capacity(width as usize * height as usize * 3);
    for [red, green, blue, alpha] in pixels {
        for colour in [red, green, blue] {
            let level = (u64::from(colour) * u64::from(alpha) + LEVEL / 2) / LEVEL;
            samples.push(u8::try_from(level).unwrap_or(u8::MAX));
        }
    }
    RgbImage::from_raw(width, height, samples).unwrap_or_default()
}

#[cfg(test)]
mod tests;
