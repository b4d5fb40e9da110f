//! Pixels of 16 or 32 bits whose colours are cut out by masks.

use image::RgbImage;

use super::super::depth::Levels;
use crate::complete::bmp::Header;
use crate::fault::Fault;
use crate::format::Format;
use crate::structure::corrupt;

/// Place of a colour in a pixel.
#[derive(Debug, Clone, Copy)]
struct Mask {
    shift: u32,
    bits: u32,
}

impl Mask {
    fn new(mask: u32) -> Result<Self, Fault> {
        let shift = mask.trailing_zeros().min(31);
        let bits = mask.count_ones();
        if mask >> shift != 0 && (mask >> shift).trailing_ones() != bits {
            return Err(corrupt(Format::Bmp, format!("its colour mask {mask:#010x} has gaps")));
        }
        Ok(Self { shift, bits })
    }

    /// The colour with 8 bits, cut off and not rounded, as in Pillow.
    fn level(self, pixel: u32) -> u8 {
        let value = pixel.checked_shr(self.shift).unwrap_or(0);
        match self.bits {
            0 => 0,
            bits @ 1..8 => {
                let most = (1 << bits) - 1;
                ((value & most) * 255 / most) as u8
            }
            bits => (value >> (bits - 8)) as u8,
        }
    }
}

pub(super) fn read(header: &Header, bytes: &[u8]) -> Result<RgbImage, Fault> {
    let [red, green, blue, opacity] = header.masks;
    let colours = [Mask::new(red)?, Mask::new(green)?, Mask::new(blue)?];
    let opacity = Mask::new(opacity)?;
    let width = header.width as usize;
    let each = usize::from(header.depth / 8);
    let levels = Levels::new(255);
    let mut samples = Vec::with_capacity(width * header.height as usize * 3);
    for row in super::rows(header, bytes)? {
        for pixel in row.chunks_exact(each).take(width) {
            let pixel = pixel.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            let colour = colours.map(|mask| mask.level(pixel));
            samples.extend(if opacity.bits == 0 {
                colour
            } else {
                let opacity = opacity.level(pixel).into();
                colour.map(|level| levels.multiplied(level.into(), opacity, levels))
            });
        }
    }
    Ok(super::super::raster::picture(width, header.height as usize, samples))
}
