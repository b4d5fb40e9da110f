//! TIFF: strips and tiles → pixels, row by row.
//!
//! Why not the `tiff` crate: of what microscopes write it multiplies associated opacity twice,
//! reads extra samples as garbage, panics on separate planes in clipped tiles, takes no notice of
//! FillOrder and knows no palette. The container is simple; codes are left to weezl, flate2 and
//! leukd's JPEG.

mod colour;
mod packed;
mod rows;

use image::RgbImage;

use super::depth;
use super::limits::{Limits, check_memory, check_sides};
use crate::complete::tiff::{Compression, Page, Photometric, page};
use crate::fault::Fault;
use colour::Colour;
use rows::Rows;

/// The picture of a TIFF file.
pub(crate) fn read(bytes: &[u8], limits: &Limits, _: &mut Vec<u8>) -> Result<RgbImage, Fault> {
    let page = page(bytes)?;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let sides = (side(page.width), side(page.height));
    check_sides(sides, limits)?;
    // What is decoded at once of each plane (LZW: a whole tile), a row's samples at 16 bits, and
    // the picture.
    let planes = if page.is_planar { page.samples as u64 } else { 1 };
    let is_lzw = page.compression == Compression::Lzw;
    let stored = if is_lzw { page.needed(0) } else { page.row_bytes() } as u64;
    let line = (page.tile.0 * page.samples * 2) as u64;
    let pixels = page.width as u64 * page.height as u64;
    check_memory(sides, (pixels * 3 + line).saturating_add(stored.saturating_mul(planes)), limits)?;
    let (mut samples, mut brightest, opacity) = samples(&page, 0, limits)?;
    if opacity > depth::most(page.brightest_opacity) {
        // Its opacity has all 16 bits, whatever its colours have.
        (samples, brightest, _) = self::samples(&page, opacity, limits)?;
    }
    if page.bits == 16 && page.photometric != Photometric::YCbCr {
        depth::check("TIFF", brightest, page.brightest)?;
    }
    Ok(super::raster::oriented(
        super::raster::picture(page.width, page.height, samples),
        page.orientation,
    ))
}

/// The levels of all pixels, the brightest 16-bit colour and the brightest opacity.
fn samples(
    page: &Page<'_>,
    brightest_opacity: u16,
    limits: &Limits,
) -> Result<(Vec<u8>, u16, u16), Fault> {
    let colour = Colour::new(page, brightest_opacity);
    let mut samples = vec![0; page.width * page.height * 3];
    let (mut brightest, mut opacity) = (0, 0);
    let (across, down) = page.tiles();
    let mut line = Vec::new();
    for index in 0..across * down {
        let (left, top) = (index % across * page.tile.0, index / across * page.tile.1);
        let width = page.tile.0.min(page.width - left);
        let height = page.tile.1.min(page.height - top);
        let mut rows = Rows::new(page, index, (width, height), limits)?;
        for y in top..top + height {
            rows.next(&mut line)?;
            let used = &line[..width * rows.channels];
            let to = &mut samples[(y * page.width + left) * 3..][..width * 3];
            colour.convert(used, rows.channels, to);
            if page.bits == 16 {
                for pixel in used.chunks_exact(rows.channels) {
                    let (colours, others) = pixel.split_at(colour.channels);
                    brightest = colours.iter().copied().fold(brightest, u16::max);
                    if let [first, ..] = others
                        && page.has_opacity
                    {
                        opacity = opacity.max(*first);
                    }
                }
            }
        }
    }
    Ok((samples, brightest, opacity))
}
