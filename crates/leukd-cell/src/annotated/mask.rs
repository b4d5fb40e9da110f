//! A picture of yes and no.

use image::RgbImage;

use super::Box4;
use crate::segment::morphology::components;
use crate::segment::plane::Plane;
use crate::segment::{Point, runs};

/// Pixels that somebody, or a segmentation, holds for something.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask(Plane<bool>);

impl Mask {
    /// The pixels whose level (mean of the channels) is wanted.
    pub(super) fn of(levels: &RgbImage, is_wanted: impl Fn(u8) -> bool) -> Self {
        let (width, height) = (levels.width() as usize, levels.height() as usize);
        let level = |[r, g, b]: [u8; 3]| ((u16::from(r) + u16::from(g) + u16::from(b)) / 3) as u8;
        let values = levels.pixels().map(|pixel| is_wanted(level(pixel.0))).collect();
        Self(Plane { width, height, values })
    }

    /// The pixels inside closed polygons of a picture of `size`.
    #[must_use]
    pub fn inside<'a>(
        outlines: impl IntoIterator<Item = &'a [Point]>,
        (width, height): (u32, u32),
    ) -> Self {
        let mut mask = Plane::filled(width as usize, height as usize, false);
        for outline in outlines {
            for (row, from, to) in runs(outline, width, height) {
                let start = (row * width) as usize;
                mask.values[start + from as usize..start + to as usize].fill(true);
            }
        }
        Self(mask)
    }

    /// Its pixels.
    #[must_use]
    pub fn area(&self) -> usize {
        self.0.count()
    }

    /// Intersection over union with a mask of the same size; 0 where both are empty.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f64 {
        let (mut both, mut any) = (0_usize, 0_usize);
        for (one, two) in self.0.values.iter().zip(&other.0.values) {
            both += usize::from(*one && *two);
            any += usize::from(*one || *two);
        }
        if any == 0 { 0.0 } else { both as f64 / any as f64 }
    }

    /// The pixels that both hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.zip(&other.0, |one, two| one && two))
    }

    /// The same in a picture of another size: each pixel is the nearest one's.
    #[must_use]
    pub fn scaled(&self, (width, height): (u32, u32)) -> Self {
        let from = |at: u32, new: u32, old: usize| {
            ((u64::from(at) * 2 + 1) * old as u64 / (u64::from(new) * 2)) as usize
        };
        let mut values = Vec::with_capacity((width * height) as usize);
        for y in 0..height {
            let row = from(y, height, self.0.height);
            values.extend((0..width).map(|x| self.0.at(from(x, width, self.0.width), row)));
        }
        Self(Plane { width: width as usize, height: height as usize, values })
    }

    /// The smallest box around it.
    #[must_use]
    pub fn bounds(&self) -> Box4 {
        let (_, parts) = components(&self.0);
        parts.iter().fold([f32::INFINITY, f32::INFINITY, 0.0, 0.0], |ends, part| {
            [
                ends[0].min(part.left as f32),
                ends[1].min(part.top as f32),
                ends[2].max(part.right as f32 + 1.0),
                ends[3].max(part.bottom as f32 + 1.0),
            ]
        })
    }

    /// Its connected parts, without those below `least` of the largest one's area.
    pub(super) fn parts(&self, least: f64) -> Vec<Self> {
        let (labels, parts) = components(&self.0);
        let largest = parts.iter().map(|part| part.area).max().unwrap_or(0);
        (1..)
            .zip(&parts)
            .filter(|(_, part)| part.area as f64 >= least * largest as f64)
            .map(|(number, _)| Self(labels.map(|label| label == number)))
            .collect()
    }

    /// True for a pixel of it with a neighbour that is none.
    pub(super) fn is_border(&self, x: u32, y: u32) -> bool {
        let at = y as usize * self.0.width + x as usize;
        self.0.values[at] && self.0.neighbours(at).any(|next| !self.0.values[next])
    }
}
