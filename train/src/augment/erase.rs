//! Random erasing: a part of the cell is hidden, so that no one spot decides.

use rand::Rng;

/// The least and the most that is erased, as a share of the picture (Zhong et al. 2020, "Random
/// Erasing Data Augmentation", whose range is 0.02 to 0.4).
const AREA: (f32, f32) = (0.02, 0.2);

/// A rectangle is at most so many times as high as wide, or as wide as high (there r₁ = 0.3).
const LONGEST: f32 = 1.0 / 0.3;

/// Sets a rectangle of random area, shape and place to black.
#[expect(clippy::cast_sign_loss, reason = "lengths")]
pub(super) fn rectangle(pixels: &mut [u8], side: usize, rng: &mut impl Rng) {
    let area = rng.random_range(AREA.0..=AREA.1);
    let shape = rng.random_range(-LONGEST.ln()..=LONGEST.ln()).exp();
    let length = |share: f32| ((share.sqrt() * side as f32).round() as usize).clamp(1, side);
    // The longest side is √(0.2 / 0.3) = 0.82 of the picture's.
    let (width, height) = (length(area * shape), length(area / shape));
    let (left, top) = (rng.random_range(0..=side - width), rng.random_range(0..=side - height));
    for row in pixels.chunks_exact_mut(3 * side).skip(top).take(height) {
        row[3 * left..3 * (left + width)].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn two_to_twenty_percent_of_the_picture_are_erased() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let shares: Vec<f64> = (0..300)
            .map(|_| {
                let mut pixels = vec![100_u8; 60 * 60 * 3];
                rectangle(&mut pixels, 60, &mut rng);
                pixels.iter().filter(|sample| **sample == 0).count() as f64 / 10_800.0
            })
            .collect();
        let least = shares.iter().copied().fold(1.0, f64::min);
        let most = shares.iter().copied().fold(0.0, f64::max);
        assert!((0.018..0.04).contains(&least) && (0.17..0.21).contains(&most), "{least} {most}");
    }
}
