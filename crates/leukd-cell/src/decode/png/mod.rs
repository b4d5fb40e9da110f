//! PNG → pixels, by the `png` crate, which reads them as libpng does.

mod diagnosis;

use std::io::Cursor;

use image::RgbImage;
use png::{ColorType, DecodeOptions, Decoder, DecodingError, Transformations};

use super::depth::{self, Levels};
use super::limits::{Limits, check_memory};
use crate::complete::png::significant_bits;
use crate::fault::Fault;
use crate::orientation;

/// The picture of a PNG file.
pub(crate) fn read(bytes: &[u8], limits: &Limits, _: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    let sides = diagnosis::check_header(bytes)?;
    let failed = |error| fault_of(bytes, sides, &error, limits);
    let mut options = DecodeOptions::default();
    // libpng and Pillow refuse pixels whose check sum is wrong.
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    let most = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
    decoder.set_limits(png::Limits { bytes: most });
    // Palettes, samples below 8 bits and transparent colours become plain colours and opacity.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (colour_type, depth) = reader.output_color_type();
    let stored = reader.output_buffer_size().unwrap_or(usize::MAX);
    let is_rgb = (colour_type, depth) == (ColorType::Rgb, png::BitDepth::Eight);
    let copied = if is_rgb { 0 } else { u64::from(sides.0) * u64::from(sides.1) * 3 };
    check_memory(sides, (stored as u64).saturating_add(copied), limits)?;
    let mut samples = vec![0; stored];
    reader.next_frame(&mut samples).map_err(failed)?;
    let channels = colour_type.samples();
    let samples = match depth {
        _ if is_rgb => samples,
        png::BitDepth::Sixteen => deep(channels, &samples, significant_bits(bytes))?,
        _ => {
            let levels = Levels::new(255);
            let samples: Vec<u16> = samples.into_iter().map(u16::from).collect();
            rgb(channels, &samples, levels, levels)
        }
    };
    let picture = super::raster::picture(sides.0 as usize, sides.1 as usize, samples);
    Ok(super::raster::oriented(picture, orientation::of_png(bytes).unwrap_or(1)))
}

fn fault_of(bytes: &[u8], sides: (u32, u32), error: &DecodingError, limits: &Limits) -> Fault {
    if matches!(error, DecodingError::LimitsExceeded) {
        let needed = limits.max_memory.saturating_add(1);
        return check_memory(sides, needed, limits).err().unwrap_or_else(|| diagnosis::of(bytes));
    }
    diagnosis::of(bytes)
}

/// Red, green and blue of pixels with 1 to 4 channels.
fn rgb(channels: usize, samples: &[u16], levels: Levels, opacities: Levels) -> Vec<u8> {
    let over = |colour, opacity| levels.multiplied(colour, opacity, opacities);
    let pixels = samples.chunks_exact(channels).flat_map(|pixel| match *pixel {
        [grey] => [levels.level(grey); 3],
        [grey, opacity] => [over(grey, opacity); 3],
        [red, green, blue] => [red, green, blue].map(|colour| levels.level(colour)),
        [red, green, blue, opacity] => [red, green, blue].map(|colour| over(colour, opacity)),
        _ => [0; 3],
    });
    pixels.collect()
}

/// Red, green and blue of big-endian 16-bit samples.
///
/// The standard has a camera's 12 bits scaled to 16 and named in `sBIT`. Some programs name them
/// and leave them unscaled: then no sample is above 4,095, and not all are multiples of 16, as they
/// would be in a dark picture that was scaled.
fn deep(channels: usize, bytes: &[u8], significant: Option<u8>) -> Result<Vec<u8>, Fault> {
    let samples = bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_be_bytes(*bytes));
    let samples: Vec<u16> = samples.collect();
    let colours = if channels < 3 { 1 } else { 3 };
    let shown = || samples.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]);
    let brightest = shown().copied().max().unwrap_or(0);
    let bits = significant.map_or(16, |bits| u32::from(bits).clamp(1, 16));
    let most = u16::MAX >> (16 - bits);
    let is_unscaled =
        bits < 16 && brightest <= most && shown().any(|sample| sample % (1 << (16 - bits)) != 0);
    let levels = Levels::new(if is_unscaled { most } else { u16::MAX });
    if bits == 16 {
        depth::check("PNG", brightest, None)?;
    }
    let opacity = samples.chunks_exact(channels).filter_map(|pixel| pixel.get(colours)).max();
    let opacities = levels.for_opacity(opacity.copied().unwrap_or(0));
    Ok(rgb(channels, &samples, levels, opacities))
}
