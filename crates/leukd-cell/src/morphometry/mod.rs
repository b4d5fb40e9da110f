//! Morphometry of one segmented cell: size, outline, colour, tone, texture and nucleus in numbers.
//!
//! A pathologist's description in figures that need no network. A bundle may weigh them beside its
//! network. The cell is first brought to one area, so that every figure but the area is
//! independent of the magnification.

mod blur;
mod nucleus;
mod part;

use std::sync::OnceLock;

use image::{Rgb, RgbImage, imageops};

use crate::fault::Fault;
use crate::foreground::{is_foreground, spans};
use crate::preprocess::{Filter, Preprocessing, about_cell};
use crate::segment::morphology::{depth, fill_holes};
use crate::segment::plane::{Plane, index};
use crate::standardise::SHARES;
use blur::gaussian;
use part::{Moments, Part, Shape, sum};

/// Pixels along each side of the square in which the cell is measured.
const SIDE: u32 = 112;

/// The cell's share of that square's area: a third leaves room for an elongated cell.
const SHARE: f32 = 1.0 / 3.0;

/// Standard deviations in pixels of the Gaussians that part the texture into bands, each about 1.5
/// times the one before: from granules to lobes.
const SCALES: [f32; 6] = [0.6, 0.9, 1.35, 2.0, 3.0, 4.5];

/// Pixels off the outline that count for no colour and no texture: the rim is a mixture with the
/// background.
const RIM: f32 = 3.0;

/// Fewer interior pixels than this say little, and the whole cell counts instead.
const LEAST_INTERIOR: usize = 75;

/// Rings between outline and middle, each a fifth of the greatest depth wide.
const RINGS: usize = 5;

/// Figures of one cell, each by its name, in an order that never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Morphometry(Vec<(String, f64)>);

impl Morphometry {
    /// Measures the cell in `picture`, which stands on black; none where nothing does.
    ///
    /// # Errors
    ///
    /// For a picture that cannot be resized.
    pub fn of(picture: &RgbImage) -> Result<Option<Self>, Fault> {
        let how = Preprocessing { size: SIDE, filter: Filter::Bilinear, ..Preprocessing::b3() };
        let measured = about_cell(picture, SHARE).map(|(placement, area)| {
            let square = how.square_of(picture, placement)?;
            Ok(Sheet::new(&framed(&square)).figures(area))
        });
        measured.transpose()
    }

    /// The names of all figures, in their order.
    pub fn names() -> &'static [String] {
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        NAMES.get_or_init(|| {
            let measured = Sheet::new(&RgbImage::from_pixel(9, 9, Rgb([90, 60, 120]))).figures(81);
            measured.0.into_iter().map(|(name, _)| name).collect()
        })
    }

    /// The figures with these values, in the order of [`Morphometry::names`]; none where they are
    /// not as many.
    #[must_use]
    pub fn from_values(values: Vec<f64>) -> Option<Self> {
        let names = Self::names();
        let named = || names.iter().cloned().zip(values.iter().copied()).collect();
        (values.len() == names.len()).then(|| Self(named()))
    }

    /// The figures in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// The part of a square that holds the cell, with a black pixel around.
fn framed(square: &RgbImage) -> RgbImage {
    let (mut left, mut top, mut right, mut bottom) = (square.width(), square.height(), 0, 0);
    for (x, y, pixels) in spans(square) {
        let (x, y) = (x as u32, y as u32);
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x + pixels.len() as u32), y + 1);
    }
    if left >= right {
        return square.clone();
    }
    let mut framed = RgbImage::new(right - left + 2, bottom - top + 2);
    let own = imageops::crop_imm(square, left, top, right - left, bottom - top).to_image();
    imageops::replace(&mut framed, &own, 1, 1);
    framed
}

/// A cell at one area with everything that its figures are taken from.
struct Sheet {
    mask: Plane<bool>,
    /// The mask without its rim.
    inner: Plane<bool>,
    /// Its places.
    interior: Part,
    /// Distance to the background in pixels.
    depth: Plane<f32>,
    /// Optical density `−ln((level + 1) / 256)` of red, green and blue, 0 to 5.55.
    densities: [Plane<f32>; 3],
    /// Luminance in deviations from the interior's mean.
    light: Plane<f32>,
}

impl Sheet {
    fn new(cell: &RgbImage) -> Self {
        let pixels = Plane {
            width: cell.width() as usize,
            height: cell.height() as usize,
            values: cell.as_raw().as_chunks::<3>().0.to_vec(),
        };
        let lit = pixels.map(|pixel| is_foreground(&pixel));
        let mask = fill_holes(&lit, lit.values.len() as f32);
        let depth = depth(&mask);
        let inner = depth.map(|depth| depth > RIM);
        let inner = if inner.count() < LEAST_INTERIOR { mask.clone() } else { inner };
        let density: [f32; 256] = std::array::from_fn(|level| -((level as f32 + 1.0) / 256.0).ln());
        let densities = [0, 1, 2].map(|at| pixels.map(|pixel| density[usize::from(pixel[at])]));
        let shares = SHARES.map(|share| share as f32);
        let luminance = pixels.map(|[red, green, blue]| {
            shares[0] * f32::from(red) + shares[1] * f32::from(green) + shares[2] * f32::from(blue)
        });
        let interior = Part::of(&inner);
        let Moments { mean, deviation, .. } = interior.moments(&luminance);
        // Less than a thousandth of a level is no texture.
        let gain = 1.0 / (deviation + 1e-3);
        let light = luminance.map(|value| ((f64::from(value) - mean) * gain) as f32);
        Self { mask, inner, interior, depth, densities, light }
    }

    fn figures(&self, area: usize) -> Morphometry {
        let mut figures = Figures(Vec::with_capacity(128));
        figures.add("area", (area as f64).ln());
        figures.add_shape("cell", &Shape::of(&self.mask));
        let density = self.densities.each_ref().map(|own| self.interior.moments(own));
        for (colour, own) in COLOURS.iter().zip(density) {
            figures.add(format!("density mean {colour}"), own.mean);
            figures.add(format!("density spread {colour}"), own.deviation);
        }
        let [red, green, blue] = density.map(|own| own.mean);
        figures.add("red to green", red / green.max(1e-3));
        figures.add("blue to green", blue / green.max(1e-3));
        self.add_tone(&mut figures);
        let bands = self.bands();
        for (scale, band) in SCALES.iter().zip(&bands) {
            figures.add_texture(format!("texture {scale}"), self.interior.moments(band));
        }
        self.add_rings(&mut figures);
        nucleus::add(self, &bands, &mut figures);
        Morphometry(figures.0)
    }

    /// Shape of the luminance's distribution, within ±5 deviations.
    fn add_tone(&self, figures: &mut Figures) {
        let mut tone = self.interior.values(&self.light);
        tone.iter_mut().for_each(|value| *value = value.clamp(-5.0, 5.0));
        let share = 1.0 / tone.len() as f64;
        figures.add("tone skewness", sum(&tone, |value| value * value * value) * share);
        figures.add("tone kurtosis", sum(&tone, |value| (value * value) * (value * value)) * share);
        for percent in [5, 25, 75, 95] {
            let at = (tone.len() - 1) * percent / 100;
            let (_, value, _) = tone.select_nth_unstable_by(at, f32::total_cmp);
            figures.add(format!("tone {percent}"), f64::from(*value));
        }
    }

    /// Differences between Gaussian smoothings within the mask, finest first.
    fn bands(&self) -> Vec<Plane<f32>> {
        let mut fine = self.light.zip(&self.mask, |value, set| if set { value } else { 0.0 });
        let mut values = fine.clone();
        let mut weights = self.mask.map(|set| f32::from(u8::from(set)));
        let mut before = 0.0_f32;
        SCALES
            .iter()
            .map(|scale| {
                // Gaussians add up by their variances.
                let step = (scale * scale - before * before).sqrt();
                before = *scale;
                values = gaussian(&values, step);
                weights = gaussian(&weights, step);
                let sums = values.zip(&weights, |value, weight| value / weight.max(1e-3));
                let finer = std::mem::replace(&mut fine, sums);
                finer.zip(&fine, |finer, coarse| finer - coarse)
            })
            .collect()
    }

    /// Luminance by depth: where the rim of the cytoplasm and where the nucleus lie.
    fn add_rings(&self, figures: &mut Figures) {
        let deepest = self.depth.values.iter().copied().fold(1.0_f32, f32::max);
        let mut rings = [const { Vec::new() }; RINGS];
        let places = self.depth.values.iter().zip(&self.mask.values).zip(&self.light.values);
        for ((depth, _), light) in places.filter(|((_, set), _)| **set) {
            rings[index(depth / deepest * RINGS as f32, RINGS)].push(*light);
        }
        for (ring, values) in rings.iter().enumerate() {
            let seen = Moments::of(values);
            figures.add(format!("ring mean {ring}"), seen.mean);
            figures.add(format!("ring spread {ring}"), seen.deviation);
        }
    }
}

const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Figures in the order in which they are added.
struct Figures(Vec<(String, f64)>);

impl Figures {
    fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    fn add_shape(&mut self, of: &str, shape: &Shape) {
        self.add(format!("{of} roundness"), shape.roundness);
        self.add(format!("{of} elongation"), shape.elongation);
        self.add(format!("{of} ellipse"), shape.ellipse);
    }

    /// Of a texture's band: the logarithm of its deviation, and its skewness.
    fn add_texture(&mut self, of: impl std::fmt::Display, band: Moments) {
        self.add(format!("{of} spread"), (band.deviation + 1e-4).ln());
        self.add(format!("{of} skewness"), band.skewness());
    }
}

#[cfg(test)]
mod tests;
