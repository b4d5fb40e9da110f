//! Stain standardisation: every cell's colours brought to the same means and spreads, so that
//! another laboratory's stain, lamp or camera changes the network's input as little as may be.
//!
//! `channels` and `density` map each channel's levels by a function of that channel alone,
//! `luminance` maps the sum of three; the cell's own pixels (those that are not black, see
//! [`BLACK`](crate::foreground::BLACK)) decide which. So a picture is read for its statistics, and
//! once through three tables.

use serde::{Deserialize, Serialize};

use super::interior;
use crate::foreground::{HARDLY, is_foreground};

/// How a cell's colours are standardised, on the square of pixels that the network sees.
///
/// In each channel the mean m and the standard deviation s (of the population, not of a sample)
/// over the cell's pixels, or those of its interior ([`Targets::rim`]), are brought to the targets
/// M and S: `v' = M + (v − m) · S / max(s, floor)`, after Reinhard et al. 2001, "Color transfer
/// between images", there in lαβ. What comes out lies within 0 to 255 and is not rounded; pixels
/// that are not the cell's become exactly 0. A picture whose cell has fewer than one pixel in
/// [`HARDLY`] stays as it is, background included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Standardise {
    /// v is the level, 0 to 255. Two captures of one cell whose channels differ by a gain and an
    /// offset each come out the same, but for rounding and for what lay beyond 0 or 255.
    Channels(Targets),
    /// v is the optical density of level l, `−ln((l + 1) / 256)`: 0 to 5.55, in which amounts of
    /// stain add up (Beer and Lambert; Ruifrok & Johnston 2001). Two captures of one cell whose
    /// channels differ by a gain (light, exposure) and by a factor of density (thickness, staining
    /// time) come out the same. The result is turned back into levels, `256 · exp(−v') − 1`.
    Density(Targets),
    /// v is the luminance, 0 to 255 (ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue), and all
    /// three channels show v'. Of the colours nothing is left: what a stain's hue says of a cell
    /// differs from slide to slide.
    Luminance(Targets),
}

/// Where a standardisation brings every channel, in the units of its method.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The mean over the cell's pixels. Levels: 0 to 255; density: 0 to [`MOST_DENSITY`].
    pub mean: f64,
    /// Their standard deviation: above 0, and at most 128 levels or a density of 3.
    pub deviation: f64,
    /// The least standard deviation that a cell is taken to have: a channel that is nearly even is
    /// not stretched until its noise fills it. As `deviation`.
    pub floor: f64,
    /// Pixels of the network's input, 0 to [`MOST_RIM`]: mean and deviation are those of the cell's
    /// interior, its pixels that are more than so many rows and columns away from any that is not
    /// the cell's. Where that is less than a seventh of the cell, and where this is 0 or absent,
    /// all of it counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rim: u32,
}

/// The widest rim, in pixels.
pub const MOST_RIM: u32 = 256;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(rim: &u32) -> bool {
    *rim == 0
}

/// The density of level 0, `ln 256`, rounded up.
pub const MOST_DENSITY: f64 = 5.55;

impl Targets {
    /// For [`Standardise::Channels`] and [`Standardise::Luminance`] at an input of `size` pixels:
    /// mean 112 and deviation 36, so that most of a rim, brighter than the interior by 1 to 4
    /// deviations, lies below 255; floor 2; a rim of 4 % of the input, so that how bright it is
    /// does not decide how strong the cell's texture looks.
    #[must_use]
    pub const fn levels(size: u32) -> Self {
        Self { mean: 112.0, deviation: 36.0, floor: 2.0, rim: (size + 12) / 25 }
    }

    /// For [`Standardise::Density`]: mean 1, deviation 0.3, with which up to 0.4 % of a channel's
    /// pixels end at 255; floor 0.03. In 45 cells of C-NMC's fold 1 a channel's deviation is 0.06
    /// to 0.39.
    pub const DENSITY: Self = Self { mean: 1.0, deviation: 0.3, floor: 0.03, rim: 0 };
}

/// What a standardisation leaves of another laboratory's colours, as the trainer draws it. Serving
/// has none.
///
/// Red, green, blue. The channel's target deviation is multiplied by `gain`, and its target mean
/// moved by `shift` target deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residual {
    /// 0 or more; 1 changes nothing, 0 leaves no texture.
    pub gain: [f64; 3],
    /// 0 changes nothing.
    pub shift: [f64; 3],
}

impl Residual {
    /// Nothing is left.
    pub const NONE: Self = Self { gain: [1.0; 3], shift: [0.0; 3] };
}

/// What each level of each channel becomes; and whether pixels that are not the cell's become 0
/// instead.
pub(super) struct Tables {
    pub(super) levels: [[f32; 256]; 3],
    pub(super) background_is_zero: bool,
    /// All three channels show the sum of what their levels become, no less than 0 and no more than
    /// this.
    pub(super) summed: Option<f32>,
}

impl Tables {
    /// Levels as they are.
    pub(super) fn plain() -> Self {
        let levels = std::array::from_fn(|level| level as f32);
        Self { levels: [levels; 3], background_is_zero: false, summed: None }
    }
}

impl Standardise {
    /// The tables for one picture, row by row, red green blue.
    pub(super) fn tables(&self, samples: &[u8], residual: &Residual) -> Tables {
        let count = samples.chunks_exact(3).filter(|pixel| is_foreground(pixel)).count();
        // A single pixel has no spread.
        if count < 2 || count * HARDLY < samples.len() / 3 {
            return Tables::plain();
        }
        let inside = interior::counted(samples, self.targets().rim as usize);
        let pixels = || samples.chunks_exact(3).zip(&inside).filter(|(_, inside)| **inside);
        let (values, targets): ([f64; 256], _) = match self {
            Self::Channels(targets) => (std::array::from_fn(|level| level as f64), targets),
            Self::Density(targets) => (std::array::from_fn(density), targets),
            Self::Luminance(targets) => {
                return luminous(pixels().map(|(pixel, _)| luminance(pixel)), targets, residual);
            }
        };
        let mut histograms = [[0_u32; 256]; 3];
        for (pixel, _) in pixels() {
            for (histogram, level) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(*level)] += 1;
            }
        }
        let levels = std::array::from_fn(|channel| {
            let (mean, deviation) = moments(&histograms[channel], &values);
            let gain = residual.gain[channel] * targets.deviation / deviation.max(targets.floor);
            let middle = targets.mean + residual.shift[channel] * targets.deviation;
            values.map(|value| self.level(middle + (value - mean) * gain))
        });
        Tables { levels, background_is_zero: true, summed: None }
    }

    const fn targets(&self) -> &Targets {
        match self {
            Self::Channels(targets) | Self::Density(targets) | Self::Luminance(targets) => targets,
        }
    }

    /// The level, 0 to 255, of a value in the method's units.
    fn level(&self, value: f64) -> f32 {
        let level = match self {
            Self::Channels(_) | Self::Luminance(_) => value,
            Self::Density(_) => 256.0 * (-value).exp() - 1.0,
        };
        level.clamp(0.0, 255.0) as f32
    }

    /// Whether the parameters are possible.
    ///
    /// # Errors
    ///
    /// The first field that is not, with what is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let targets = self.targets();
        let (most_mean, most) = match self {
            Self::Channels(_) | Self::Luminance(_) => (255.0, 128.0),
            Self::Density(_) => (MOST_DENSITY, 3.0),
        };
        if targets.rim > MOST_RIM {
            return Err(("rim", format!("{} is more than {MOST_RIM}", targets.rim)));
        }
        if !(0.0..=most_mean).contains(&targets.mean) {
            return Err(("mean", format!("{} is not 0 to {most_mean}", targets.mean)));
        }
        for (field, value) in [("deviation", targets.deviation), ("floor", targets.floor)] {
            if !(value > 0.0 && value <= most) {
                return Err((field, format!("{value} is not above 0 and at most {most}")));
            }
        }
        Ok(())
    }
}

/// In words, for people: `channels to mean 112, deviation 36 inside a rim of 9 pixels`.
impl std::fmt::Display for Standardise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = match self {
            Self::Channels(_) => "channels",
            Self::Density(_) => "density",
            Self::Luminance(_) => "luminance",
        };
        let Targets { mean, deviation, rim, .. } = self.targets();
        write!(f, "{method} to mean {mean}, deviation {deviation}")?;
        if *rim > 0 { write!(f, " inside a rim of {rim} pixels") } else { Ok(()) }
    }
}

/// Shares of red, green and blue in luminance (ITU-R BT.601).
pub const SHARES: [f64; 3] = [0.299, 0.587, 0.114];

fn luminance(pixel: &[u8]) -> f64 {
    SHARES.iter().zip(pixel).map(|(share, level)| share * f64::from(*level)).sum()
}

/// The luminance's tables: `M' + (v − m) · gain` is a sum of what each channel adds. `values` are
/// those of the pixels that count.
fn luminous(
    values: impl Iterator<Item = f64> + Clone,
    targets: &Targets,
    residual: &Residual,
) -> Tables {
    let pixels = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / pixels;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / pixels;
    let deviation = variance.sqrt();
    let gain = residual.gain[0] * targets.deviation / deviation.max(targets.floor);
    let offset = targets.mean + residual.shift[0] * targets.deviation - mean * gain;
    let levels = std::array::from_fn(|channel| {
        let start = if channel == 0 { offset } else { 0.0 };
        let share = SHARES[channel] * gain;
        std::array::from_fn(|level| (start + share * level as f64) as f32)
    });
    Tables { levels, background_is_zero: true, summed: Some(255.0) }
}

fn density(level: usize) -> f64 {
    -((level as f64 + 1.0) / 256.0).ln()
}

/// Mean and standard deviation of the values that stand behind the levels of a histogram.
fn moments(histogram: &[u32; 256], values: &[f64; 256]) -> (f64, f64) {
    let weighted = || histogram.iter().map(|count| f64::from(*count)).zip(values);
    let count: f64 = weighted().map(|(count, _)| count).sum();
    let mean = weighted().map(|(count, value)| count * value).sum::<f64>() / count;
    let variance =
        weighted().map(|(count, value)| count * (value - mean) * (value - mean)).sum::<f64>()
            / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests;
