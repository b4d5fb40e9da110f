//! Lamp, exposure and the camera's tone curve.

use leukd_cell::foreground::is_foreground;
use leukd_cell::standardise::SHARES;
use rand::Rng;

use super::{cell, factor, level, ratio};
use crate::recipe::Augmentation;

/// Level v of a channel becomes `255 · ((m + (gain · v − m) · contrast) / 255) ^ gamma`, m the mean
/// of `gain · v` over the cell's pixels, the inner value cut off at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Light {
    pub(super) gains: [f32; 3],
    pub(super) contrast: f32,
    pub(super) gamma: f32,
}

impl Light {
    /// None where the recipe varies nothing of it.
    pub(super) fn draw(how: &Augmentation, rng: &mut impl Rng) -> Option<Self> {
        let settings = [how.brightness, how.colour, how.contrast, how.gamma];
        if settings.iter().all(|setting| *setting == 0.0) {
            return None;
        }
        let overall = factor(how.brightness, rng);
        Some(Self {
            gains: std::array::from_fn(|_| overall * factor(how.colour, rng)),
            contrast: factor(how.contrast, rng),
            gamma: ratio(how.gamma, rng),
        })
    }

    pub(super) fn apply(self, pixels: &mut [u8]) {
        let means = if self.contrast == 1.0 { [0.0; 3] } else { means(pixels) };
        let tables: [[u8; 256]; 3] = std::array::from_fn(|channel| {
            let gain = self.gains[channel];
            let mean = gain * means[channel];
            std::array::from_fn(|own| {
                let mut value = own as f32 * gain;
                // Not even rounding may change what is not asked for.
                if self.contrast != 1.0 {
                    value = mean + (value - mean) * self.contrast;
                }
                if self.gamma != 1.0 {
                    value = 255.0 * (value.max(0.0) / 255.0).powf(self.gamma);
                }
                level(value)
            })
        });
        for pixel in cell(pixels) {
            for (sample, table) in pixel.iter_mut().zip(&tables) {
                *sample = table[usize::from(*sample)];
            }
        }
    }
}

/// Each channel's mean over the cell's pixels; 0 where there are none.
fn means(pixels: &[u8]) -> [f32; 3] {
    let (mut sums, mut count) = ([0_u64; 3], 0_u64);
    for pixel in pixels.as_chunks::<3>().0.iter().filter(|pixel| is_foreground(*pixel)) {
        count += 1;
        for (sum, sample) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(*sample);
        }
    }
    sums.map(|sum| sum as f32 / count.max(1) as f32)
}

/// Every pixel of the cell as its luminance, in all three channels.
pub(super) fn grey(pixels: &mut [u8]) {
    for pixel in cell(pixels) {
        let weighted = pixel.iter().zip(SHARES).map(|(own, share)| f32::from(*own) * share as f32);
        *pixel = [level(weighted.sum()); 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Light = Light { gains: [1.0; 3], contrast: 1.0, gamma: 1.0 };

    fn after(light: Light) -> Vec<u8> {
        let mut pixels = vec![0, 0, 0, 100, 60, 120, 140, 80, 160];
        light.apply(&mut pixels);
        pixels
    }

    #[test]
    fn contrast_stretches_about_each_channel_s_mean_over_the_cell() {
        let stretched = after(Light { contrast: 1.5, ..PLAIN });
        assert_eq!(stretched, [0, 0, 0, 90, 55, 110, 150, 85, 170]);
    }

    #[test]
    fn gamma_bends_between_0_and_255() {
        let bent = after(Light { gamma: 2.0, ..PLAIN });
        let by_hand = |v: f32| level(v * v / 255.0);
        assert_eq!(bent[3..6], [by_hand(100.0), by_hand(60.0), by_hand(120.0)]);
    }

    #[test]
    fn grey_is_rec_601_luminance() {
        let mut pixels = vec![5, 0, 9, 100, 60, 120];
        grey(&mut pixels);
        assert_eq!(pixels, [5, 0, 9, 79, 79, 79]);
    }
}
