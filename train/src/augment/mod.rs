//! What training varies in a picture: everything that does not change what a cell is.
//!
//! In the order in which a capture comes about: how the cell lies (`pose`), its stain (`stain`),
//! the optics (`optics`: blur, sharpness), light and camera (`light`, then noise), and what is
//! hidden of it (`erase`). All of it works on the square of 8-bit pixels that
//! `Preprocessing::square` makes; the same standardisation as in serving comes after it, less what
//! [`residual`] leaves.
//!
//! A setting of 0 draws no random number, so that a recipe which does not use it repeats what it
//! was before the setting existed.

mod erase;
mod light;
mod optics;
mod pose;
mod stain;

use leukd_cell::foreground::is_foreground;
use leukd_cell::standardise::Residual;
use rand::Rng;

use crate::recipe::Augmentation;
use light::Light;
use pose::Pose;

/// One random variant of a picture of `side` × `side` pixels, at least one, row by row, red green
/// blue.
///
/// What is black stays black: the cell is cut out after it was captured, so neither light nor noise
/// nor blur reaches beyond it.
#[must_use]
pub fn vary(pixels: &[u8], side: usize, how: &Augmentation, rng: &mut impl Rng) -> Vec<u8> {
    let pose = Pose::draw(how, rng);
    let mut varied = pose.apply(pixels, side);
    if how.appearance < 1.0 && rng.random::<f64>() >= how.appearance {
        return varied;
    }
    if how.stain > 0.0 {
        let amounts = std::array::from_fn(|_| factor(how.stain, rng));
        stain::change(&mut varied, amounts);
    }
    if how.blur > 0.0 {
        optics::blur(&mut varied, side, rng.random_range(0.0..=how.blur as f32));
    }
    if how.bands > 0.0 || how.sharpness > 0.0 {
        optics::bands(&mut varied, side, gains(how, rng));
    }
    if let Some(light) = Light::draw(how, rng) {
        light.apply(&mut varied);
    }
    if how.grey > 0.0 && rng.random::<f64>() < how.grey {
        light::grey(&mut varied);
    }
    if how.noise > 0.0 {
        let deviation = rng.random_range(0.0..=how.noise as f32);
        optics::noise(&mut varied, deviation, rng);
    }
    if how.erase > 0.0 && rng.random::<f64>() < how.erase {
        erase::rectangle(&mut varied, side, rng);
    }
    varied
}

/// What is left of another laboratory's colours after the standardisation.
#[must_use]
pub fn residual(how: &Augmentation, rng: &mut impl Rng) -> Residual {
    let mut left = Residual::NONE;
    if how.residual > 0.0 {
        let spread = -how.residual..=how.residual;
        left.gain = std::array::from_fn(|_| 1.0 + rng.random_range(spread.clone()));
        left.shift = std::array::from_fn(|_| rng.random_range(spread.clone()));
    }
    if how.flat > 0.0 && rng.random::<f64>() < how.flat {
        let kept = rng.random_range(0.0..=0.5);
        left.gain = left.gain.map(|gain| kept * gain);
    }
    left
}

/// A gain for each band of spatial frequencies, and one for all together that the finest bands have
/// most of.
fn gains(how: &Augmentation, rng: &mut impl Rng) -> [f32; optics::BANDS] {
    let together = ratio(how.sharpness, rng);
    std::array::from_fn(|place| {
        let part = 1.0 - place as f32 / optics::BANDS as f32;
        ratio(how.bands, rng) * together.powf(part)
    })
}

/// The cell's pixels: the others stay black.
fn cell(pixels: &mut [u8]) -> impl Iterator<Item = &mut [u8; 3]> {
    pixels.as_chunks_mut().0.iter_mut().filter(|pixel| is_foreground(*pixel))
}

/// Evenly from 1 − `spread` to 1 + `spread`.
fn factor(spread: f64, rng: &mut impl Rng) -> f32 {
    let spread = spread as f32;
    if spread > 0.0 { 1.0 + rng.random_range(-spread..=spread) } else { 1.0 }
}

/// From 1 / (1 + `spread`) to 1 + `spread`, its logarithm evenly: twice as much is as likely as
/// half as much.
fn ratio(spread: f64, rng: &mut impl Rng) -> f32 {
    let most = (spread as f32).ln_1p();
    if most > 0.0 { rng.random_range(-most..=most).exp() } else { 1.0 }
}

/// The nearest level of 8 bits.
#[expect(clippy::cast_sign_loss, reason = "what is below 0 becomes 0")]
fn level(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests;
