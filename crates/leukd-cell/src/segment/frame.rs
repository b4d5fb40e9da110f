//! Black around a field: a round diaphragm, a scanner's frame, a missing tile. White cannot be told
//! from an overexposed background, and stays.

use std::borrow::Cow;

use image::{Rgb, RgbImage};

use crate::foreground::is_foreground;

/// At least one part in `LEAST` of the border must be of a frame.
const LEAST: usize = 20;
/// Pixels beside a frame that are taken with it: interpolation and JPEG smear its rim.
const RIM: u32 = 3;

/// `picture` with the light of its empty background where it has a frame; itself where it has none.
pub(super) fn without_frame(picture: &RgbImage) -> Cow<'_, RgbImage> {
    let filled = reached_from_border(picture).and_then(|mask| {
        let light = light(picture, &mask)?;
        let mut own = picture.clone();
        fill(&mut own, &mask, light);
        Some(own)
    });
    filled.map_or(Cow::Borrowed(picture), Cow::Owned)
}

/// Black pixels that the border leads to; none where the border has few of them.
fn reached_from_border(picture: &RgbImage) -> Option<Vec<bool>> {
    let is_frame = |pixel: &Rgb<u8>| !is_foreground(&pixel.0);
    let (width, height) = picture.dimensions();
    let index = |x: u32, y: u32| y as usize * width as usize + x as usize;
    let mut mask = vec![false; width as usize * height as usize];
    let mut stack = Vec::new();
    let mut outermost = 0;
    let sides = (0..width).flat_map(|x| [(x, 0), (x, height - 1)]);
    let ends = (0..height).flat_map(|y| [(0, y), (width - 1, y)]);
    for (x, y) in sides.chain(ends) {
        outermost += 1;
        if is_frame(picture.get_pixel(x, y)) && !mask[index(x, y)] {
            mask[index(x, y)] = true;
            stack.push((x, y));
        }
    }
    if stack.len() * LEAST < outermost {
        return None;
    }
    while let Some((x, y)) = stack.pop() {
        let beside = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        for (x, y) in beside {
            if x < width && y < height && !mask[index(x, y)] && is_frame(picture.get_pixel(x, y)) {
                mask[index(x, y)] = true;
                stack.push((x, y));
            }
        }
    }
    Some(mask)
}

/// The level that four of five pixels outside the mask do not exceed, by channel: empty background.
/// None where the mask leaves nothing.
fn light(picture: &RgbImage, mask: &[bool]) -> Option<Rgb<u8>> {
    let mut levels = [[0_usize; 256]; 3];
    let mut count = 0;
    for (pixel, is_frame) in picture.pixels().zip(mask) {
        if !is_frame {
            count += 1;
            for (of, level) in levels.iter_mut().zip(pixel.0) {
                of[usize::from(level)] += 1;
            }
        }
    }
    if count == 0 {
        return None;
    }
    let level = |of: &[usize; 256]| {
        let mut below = 0;
        let found = of.iter().position(|own| {
            below += own;
            below * 5 >= count * 4
        });
        found.and_then(|level| u8::try_from(level).ok()).unwrap_or(u8::MAX)
    };
    Some(Rgb(levels.each_ref().map(level)))
}

/// Paints the mask and its rim.
fn fill(picture: &mut RgbImage, mask: &[bool], light: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    let at = |x: u32, y: u32| mask[y as usize * width as usize + x as usize];
    for y in 0..height {
        for x in 0..width {
            if !at(x, y) {
                continue;
            }
            let (right, below) = ((x + 1).min(width - 1), (y + 1).min(height - 1));
            let (left, above) = (x.saturating_sub(1), y.saturating_sub(1));
            let is_inside = at(left, y) && at(right, y) && at(x, above) && at(x, below);
            let reach = if is_inside { 0 } else { RIM };
            for y in y.saturating_sub(reach)..=(y + reach).min(height - 1) {
                for x in x.saturating_sub(reach)..=(x + reach).min(width - 1) {
                    picture.put_pixel(x, y, light);
                }
            }
        }
    }
}
