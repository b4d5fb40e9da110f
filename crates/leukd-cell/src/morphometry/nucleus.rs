//! The nucleus, its chromatin and the cytoplasm around it.

use super::blur::gaussian;
use super::part::{Part, Shape};
use super::{COLOURS, Figures, SCALES, Sheet};
use crate::segment::morphology::{components, fill_holes, open};
use crate::segment::plane::Plane;
use crate::segment::threshold::Histogram;

/// Densest that a level can be, `ln 256`, rounded up.
const MOST_DENSITY: f32 = 5.6;

/// Fewer pixels than this are no cytoplasm to take a colour of.
const LEAST_CYTOPLASM: usize = 10;

/// The channel whose density parts nucleus from cytoplasm: green. With red, the other one tried on
/// C-NMC, the figures ranked the cells of new persons worse (`train/PERFORMANCE.md`).
const CHANNEL: usize = 1;

pub(super) fn add(sheet: &Sheet, bands: &[Plane<f32>], figures: &mut Figures) {
    let smooth = gaussian(&sheet.densities[CHANNEL], 1.0);
    let values = sheet.interior.values(&smooth);
    let cut = Histogram::new(0.0, MOST_DENSITY, values.into_iter()).otsu();
    let dense = smooth.zip(&sheet.mask, |density, set| set && density > cut);
    let dense = open(&dense, 1.0);
    let (labels, parts) = components(&dense);
    let largest = parts.iter().enumerate().max_by_key(|(_, part)| part.area);
    let number = largest.map_or(u32::MAX, |(at, _)| at as u32 + 1);
    let area = largest.map_or(0, |(_, part)| part.area) as f64;
    let nucleus = labels.map(|label| label == number);
    let nucleus = fill_holes(&nucleus, nucleus.values.len() as f32);
    let cytoplasm = sheet.inner.zip(&nucleus, |inner, own| inner && !own);
    let share = nucleus.count() as f64 / sheet.mask.count().max(1) as f64;
    figures.add("nucleus elsewhere", 1.0 - area / dense.count().max(1) as f64);
    figures.add("nucleus share", share);
    figures.add_shape("nucleus", &Shape::of(&nucleus));
    let (inner, outer) = (Part::of(&nucleus), Part::of(&cytoplasm));
    for (colour, density) in COLOURS.iter().zip(&sheet.densities) {
        let cell = sheet.interior.moments(density).mean;
        let seen = |part: &Part, least: usize| {
            let own = part.moments(density);
            if own.count < least { (cell, 0.0) } else { (own.mean, own.deviation) }
        };
        let (inner, outer) = (seen(&inner, 1), seen(&outer, LEAST_CYTOPLASM));
        figures.add(format!("nucleus density {colour}"), inner.0);
        figures.add(format!("nucleus spread {colour}"), inner.1);
        figures.add(format!("cytoplasm density {colour}"), outer.0);
        figures.add(format!("cytoplasm spread {colour}"), outer.1);
    }
    for (scale, band) in SCALES.iter().zip(bands) {
        figures.add_texture(format!("chromatin {scale}"), inner.moments(band));
    }
    let [x, y] = [0, 1].map(|axis| middle(&nucleus)[axis] - middle(&sheet.mask)[axis]);
    figures.add("nucleus offset", if area > 0.0 { x.hypot(y) } else { 0.0 });
}

/// Mean column and row of what is set.
fn middle(mask: &Plane<bool>) -> [f64; 2] {
    let (mut sums, mut count) = ([0.0_f64; 2], 0.0_f64);
    for (at, _) in mask.values.iter().enumerate().filter(|(_, set)| **set) {
        sums[0] += (at % mask.width) as f64;
        sums[1] += (at / mask.width) as f64;
        count += 1.0;
    }
    sums.map(|sum| sum / count.max(1.0))
}
