//! Pixels that are indices into a palette, in rows or in runs.

use image::RgbImage;

use crate::complete::bmp::{Header, Rows};
use crate::fault::Fault;
use crate::format::Format;
use crate::structure::corrupt;
use crate::structure::truncated;

pub(super) fn read(header: &Header, bytes: &[u8]) -> Result<RgbImage, Fault> {
    let (at, each, count) = header.palette;
    let palette = bytes.get(at..at + each * count);
    let palette = palette.ok_or_else(|| truncated(Format::Bmp, "it ends inside its palette"))?;
    let palette: Vec<_> =
        palette.chunks_exact(each).map(|entry| [entry[2], entry[1], entry[0]]).collect();
    let colour = |index: u8| {
        palette.get(usize::from(index)).copied().ok_or_else(|| {
            let what = format!("a pixel has colour {index}, its palette has {count}");
            corrupt(Format::Bmp, what)
        })
    };
    let (width, height) = (header.width as usize, header.height as usize);
    let mut samples = Vec::with_capacity(width * height * 3);
    if header.rows == Rows::Runs {
        let indices = runs(header, bytes.get(header.pixels_at..).unwrap_or_default())?;
        for y in 0..height {
            let row = if header.is_top_down { y } else { height - 1 - y };
            for index in &indices[row * width..(row + 1) * width] {
                samples.extend(colour(*index)?);
            }
        }
    } else {
        let bits = usize::from(header.depth);
        let (each, mask) = (8 / bits, 0xff_u8 >> (8 - bits));
        for row in super::rows(header, bytes)? {
            for x in 0..width {
                let shift = 8 - bits * (x % each + 1);
                samples.extend(colour(row[x / each] >> shift & mask)?);
            }
        }
    }
    Ok(super::super::raster::picture(width, height, samples))
}

/// The indices of RLE8 or RLE4, row after row as they are stored. Pixels that a code passes over
/// keep index 0, as in Pillow.
///
/// A picture whose pixels are all there needs no end code, and one whose end code comes too early
/// is not whole.
fn runs(header: &Header, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let (width, height) = (header.width as usize, header.height as usize);
    let mut indices = vec![0; width * height];
    let (mut x, mut y) = (0, 0);
    let mut at = 0;
    // Two indices a byte, the upper one first, or one.
    let half = header.depth == 4;
    let index = |byte: u8, place: usize| match (half, place % 2) {
        (true, 0) => byte >> 4,
        (true, _) => byte & 15,
        _ => byte,
    };
    while y < height && (y, x) != (height - 1, width) {
        let cut = || truncated(Format::Bmp, format!("its runs end in row {y} of {height}"));
        let &[count, code] = data.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(cut)?;
        at += 2;
        let (count, from) = match (count, code) {
            (0, 0) => {
                (x, y) = (0, y + 1);
                continue;
            }
            (0, 1) => return Err(cut()),
            (0, 2) => {
                let &[right, up] =
                    data.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(cut)?;
                at += 2;
                (x, y) = (x + usize::from(right), y + usize::from(up));
                if x > width || y >= height {
                    return Err(corrupt(Format::Bmp, "a code leads out of the picture"));
                }
                continue;
            }
            (0, count) => {
                let count = usize::from(count);
                let length = if half { count.div_ceil(2) } else { count };
                let bytes = data.get(at..at + length).ok_or_else(cut)?;
                at += length.next_multiple_of(2);
                (count, bytes)
            }
            (count, _) => (usize::from(count), std::slice::from_ref(&data[at - 1])),
        };
        // Some encoders count the two pixels of the last byte where an odd row has only one left.
        let is_odd_end = half && x < width && x + count == width + 1 && from.len() == 1;
        let count = if is_odd_end { count - 1 } else { count };
        let row = &mut indices[y * width..(y + 1) * width];
        let Some(places) = row.get_mut(x..x + count) else {
            return Err(corrupt(Format::Bmp, format!("a run leads out of row {y}")));
        };
        for (place, to) in places.iter_mut().enumerate() {
            let byte =
                if from.len() == 1 { from[0] } else { from[if half { place / 2 } else { place }] };
            *to = index(byte, place);
        }
        x += count;
    }
    Ok(indices)
}
