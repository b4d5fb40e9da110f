//! What training varies in a picture: everything that does not change what a cell is.

use rand::Rng;

/// The whole picture's brightness varies by this much.
const BRIGHTNESS: f32 = 0.15;

/// Each channel's by this much more: stains differ between days.
const COLOUR: f32 = 0.05;

/// One random variant of a picture of `side` × `side` pixels, row by row, red green blue: one of
/// the eight flips and quarter turns, brighter or darker, with another tint.
///
/// Brightness multiplies, so the black around the cell stays black; the cell's size, a cue, stays
/// as it is.
#[must_use]
pub fn vary(pixels: &[u8], side: usize, rng: &mut impl Rng) -> Vec<u8> {
    let symmetry = rng.random_range(0..8_u8);
    let overall = factor(BRIGHTNESS, rng);
    let gains: [f32; 3] = std::array::from_fn(|_| overall * factor(COLOUR, rng));
    let mut varied = Vec::with_capacity(pixels.len());
    for y in 0..side {
        for x in 0..side {
            let from = source(symmetry, x, y, side) * 3;
            for (channel, gain) in gains.iter().enumerate() {
                varied.push(scaled(pixels[from + channel], *gain));
            }
        }
    }
    varied
}

fn factor(spread: f32, rng: &mut impl Rng) -> f32 {
    1.0 + rng.random_range(-spread..=spread)
}

#[expect(clippy::cast_sign_loss, reason = "a sample and its gain are not negative")]
fn scaled(sample: u8, gain: f32) -> u8 {
    // A float that is too large becomes 255.
    (f32::from(sample) * gain + 0.5) as u8
}

/// Which pixel of the picture comes to (`x`, `y`) under one of the square's eight symmetries.
fn source(symmetry: u8, x: usize, y: usize, side: usize) -> usize {
    let (x, y) = if symmetry & 1 == 0 { (x, y) } else { (side - 1 - x, y) };
    let (x, y) = if symmetry & 2 == 0 { (x, y) } else { (x, side - 1 - y) };
    let (x, y) = if symmetry & 4 == 0 { (x, y) } else { (y, x) };
    y * side + x
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_background_stays_black_and_the_cell_keeps_its_size() {
        let side = 6;
        let mut pixels = vec![0; side * side * 3];
        for place in [7, 8, 13, 14, 15] {
            pixels[place * 3..place * 3 + 3].copy_from_slice(&[200, 90, 160]);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..50 {
            let varied = vary(&pixels, side, &mut rng);
            assert_eq!(varied.chunks(3).filter(|pixel| **pixel != [0, 0, 0]).count(), 5);
        }
    }

    #[test]
    fn every_symmetry_moves_every_pixel_once() {
        for symmetry in 0..8 {
            let mut places: Vec<usize> =
                (0..25).map(|place| source(symmetry, place % 5, place / 5, 5)).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..25));
        }
    }
}
