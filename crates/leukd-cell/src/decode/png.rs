//! PNG → pixels, by the `png` crate, which reads them as libpng does.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, ImageError, RgbImage};

use super::depth::{self, Levels};
use super::{Limits, check_memory};
use crate::complete::tiff::orientation;
use crate::complete::{Format, png};
use crate::fault::{Fault, FaultKind};

/// The picture of a PNG file.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Fault> {
    let failed = |error: ImageError| {
        let kind = match &error {
            ImageError::Limits(_) => FaultKind::TooLarge,
            ImageError::Unsupported(_) => FaultKind::Unsupported,
            _ => FaultKind::Corrupt,
        };
        Fault::new(kind, format!("the {} cannot be decoded: {error}", Format::Png))
    };
    let mut own = image::Limits::default();
    own.max_image_width = Some(limits.max_side);
    own.max_image_height = Some(limits.max_side);
    own.max_alloc = Some(limits.max_memory);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), own).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let copied = match decoder.color_type() {
        image::ColorType::Rgb8 => 0,
        _ => u64::from(width) * u64::from(height) * 3,
    };
    check_memory((width, height), decoder.total_bytes().saturating_add(copied), limits)?;
    let orientation = png::exif(bytes).map_or(1, orientation);
    let picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(super::oriented(to_rgb(picture, png::significant_bits(bytes))?, orientation))
}

fn to_rgb(picture: DynamicImage, significant: Option<u8>) -> Result<RgbImage, Fault> {
    let wide = |samples: &[u8]| samples.iter().map(|sample| u16::from(*sample)).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let full = Levels::new(255);
    let (channels, samples, levels): (_, Vec<u16>, _) = match picture {
        DynamicImage::ImageRgb8(picture) => return Ok(picture),
        DynamicImage::ImageLuma8(picture) => (1, wide(&picture), full),
        DynamicImage::ImageLumaA8(picture) => (2, wide(&picture), full),
        DynamicImage::ImageRgba8(picture) => (4, wide(&picture), full),
        DynamicImage::ImageLuma16(picture) => deep(1, picture.into_raw(), significant)?,
        DynamicImage::ImageLumaA16(picture) => deep(2, picture.into_raw(), significant)?,
        DynamicImage::ImageRgb16(picture) => deep(3, picture.into_raw(), significant)?,
        DynamicImage::ImageRgba16(picture) => deep(4, picture.into_raw(), significant)?,
        other => {
            let message = format!("pixels of the kind {:?} are not supported", other.color());
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
    };
    let rgb = samples.chunks_exact(channels).flat_map(|pixel| match *pixel {
        [grey] => [levels.level(grey); 3],
        [grey, opacity] => [levels.multiplied(grey, opacity); 3],
        [red, green, blue] => [red, green, blue].map(|colour| levels.level(colour)),
        [red, green, blue, opacity] => {
            [red, green, blue].map(|colour| levels.multiplied(colour, opacity))
        }
        _ => [0; 3],
    });
    Ok(super::picture(width, height, rgb.collect()))
}

/// 16-bit samples with the levels that they stand for.
///
/// The standard has a camera's 12 bits scaled to 16 and named in `sBIT`. Some programs name them and
/// leave them unscaled: then no sample is above 4,095, and not all are multiples of 16, as they would
/// be in a dark picture that was scaled.
fn deep(
    channels: usize,
    samples: Vec<u16>,
    significant: Option<u8>,
) -> Result<(usize, Vec<u16>, Levels), Fault> {
    let colours = if channels < 3 { 1 } else { 3 };
    let shown = || samples.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]);
    let brightest = shown().copied().max().unwrap_or(0);
    let bits = significant.map_or(16, |bits| u32::from(bits).clamp(1, 16));
    let most = u16::MAX >> (16 - bits);
    let is_unscaled =
        bits < 16 && brightest <= most && shown().any(|sample| sample % (1 << (16 - bits)) != 0);
    if is_unscaled {
        return Ok((channels, samples, Levels::new(most)));
    }
    if significant.is_none() {
        depth::check("PNG", brightest, None)?;
    }
    Ok((channels, samples, Levels::new(u16::MAX)))
}
