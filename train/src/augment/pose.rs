//! How a picture is laid: flips, quarter turns, a turn by an angle, a magnification.

use rand::Rng;

use super::{level, ratio};
use crate::recipe::Augmentation;

/// Flips, then quarter turns, then a turn by an angle with a magnification, about the picture's
/// middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) flip_x: bool,
    pub(super) flip_y: bool,
    pub(super) quarters: u8,
    /// Radians.
    pub(super) angle: f32,
    /// 2 shows everything twice as large.
    pub(super) magnification: f32,
}

impl Pose {
    pub(super) fn draw(how: &Augmentation, rng: &mut impl Rng) -> Self {
        let most = how.rotation.to_radians() as f32;
        Self {
            flip_x: how.flip_horizontal && rng.random(),
            flip_y: how.flip_vertical && rng.random(),
            quarters: if how.quarter_turns { rng.random_range(0..4) } else { 0 },
            angle: if most > 0.0 { rng.random_range(-most..=most) } else { 0.0 },
            magnification: ratio(how.scale, rng),
        }
    }

    pub(super) fn apply(self, pixels: &[u8], side: usize) -> Vec<u8> {
        let laid = self.lay(pixels, side);
        if self.angle == 0.0 && self.magnification == 1.0 { laid } else { self.turn(&laid, side) }
    }

    /// Flips and quarter turns: each pixel moves as it is.
    fn lay(self, pixels: &[u8], side: usize) -> Vec<u8> {
        if side < 2 {
            return pixels.to_vec();
        }
        let place = |x, y| {
            let (x, y) = self.source(x, y, side);
            3 * (y * side + x)
        };
        // The same step for every pixel of a row, forwards or backwards.
        let step = place(1, 0).wrapping_sub(place(0, 0));
        let mut laid = Vec::with_capacity(pixels.len());
        for y in 0..side {
            let mut from = place(0, y);
            for _ in 0..side {
                laid.extend_from_slice(&pixels[from..from + 3]);
                from = from.wrapping_add(step);
            }
        }
        laid
    }

    /// Which pixel comes to (`x`, `y`).
    pub(super) fn source(self, x: usize, y: usize, side: usize) -> (usize, usize) {
        let last = side - 1;
        let (mut x, mut y) = (x, y);
        for _ in 0..self.quarters {
            (x, y) = (y, last - x);
        }
        (if self.flip_x { last - x } else { x }, if self.flip_y { last - y } else { y })
    }

    /// The turn and the magnification, in one interpolation. Bilinear without antialiasing: a
    /// picture is made smaller by a factor of 2 at the most.
    #[expect(clippy::cast_sign_loss, reason = "places below 0 are between's")]
    fn turn(self, pixels: &[u8], side: usize) -> Vec<u8> {
        let (sine, cosine) = self.angle.sin_cos();
        let (sine, cosine) = (sine / self.magnification, cosine / self.magnification);
        let middle = (side as f32 - 1.0) / 2.0;
        let within = 0.0..side as f32 - 1.0;
        let mut turned = vec![0; pixels.len()];
        for (y, row) in turned.chunks_exact_mut(3 * side).enumerate() {
            let dy = y as f32 - middle;
            for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let dx = x as f32 - middle;
                let at_x = middle + cosine * dx - sine * dy;
                let at_y = middle + sine * dx + cosine * dy;
                if !within.contains(&at_x) || !within.contains(&at_y) {
                    *pixel = between(pixels, side, at_x, at_y);
                    continue;
                }
                // As `between`, in the same order of sums, where all four pixels are there.
                let (left, top) = (at_x as usize, at_y as usize);
                let upper = pair(pixels, top * side + left);
                let lower = pair(pixels, (top + 1) * side + left);
                if upper == [0; 6] && lower == [0; 6] {
                    continue;
                }
                let (right, below) = (at_x - left as f32, at_y - top as f32);
                let shares = [
                    (1.0 - right) * (1.0 - below),
                    right * (1.0 - below),
                    (1.0 - right) * below,
                    right * below,
                ];
                *pixel = std::array::from_fn(|channel| {
                    let beside = channel + 3;
                    let four = [upper[channel], upper[beside], lower[channel], lower[beside]];
                    let [a, b, c, d] = four.map(f32::from);
                    level(shares[0] * a + shares[1] * b + shares[2] * c + shares[3] * d)
                });
            }
        }
        turned
    }
}

/// Two pixels that stand side by side; black where there are none.
fn pair(pixels: &[u8], place: usize) -> [u8; 6] {
    pixels.get(3 * place..).and_then(|from| from.first_chunk()).copied().unwrap_or_default()
}

/// Bilinear between the four pixels around a point; black outside.
#[expect(clippy::cast_sign_loss, reason = "negative places are taken out before")]
fn between(pixels: &[u8], side: usize, x: f32, y: f32) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let mut sum = [0.0_f32; 3];
    for (at_y, share_y) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
        for (at_x, share_x) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
            let inside = 0.0..side as f32;
            if !inside.contains(&at_x) || !inside.contains(&at_y) {
                continue;
            }
            let from = (at_y as usize * side + at_x as usize) * 3;
            for (sum, sample) in sum.iter_mut().zip(&pixels[from..from + 3]) {
                *sum += share_x * share_y * f32::from(*sample);
            }
        }
    }
    sum.map(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: Pose =
        Pose { flip_x: false, flip_y: false, quarters: 0, angle: 0.0, magnification: 1.0 };

    #[test]
    fn every_flip_and_turn_moves_every_pixel_once() {
        for bits in 0..16_u8 {
            let pose =
                Pose { flip_x: bits & 1 == 1, flip_y: bits & 2 == 2, quarters: bits >> 2, ..STILL };
            let mut places: Vec<_> =
                (0..25).map(|place| pose.source(place % 5, place / 5, 5)).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), 25);
            let pixels: Vec<u8> = (0..75).collect();
            for (place, pixel) in pose.apply(&pixels, 5).chunks(3).enumerate() {
                let (x, y) = pose.source(place % 5, place / 5, 5);
                assert_eq!(pixel, &pixels[(y * 5 + x) * 3..][..3]);
            }
        }
    }

    #[test]
    fn a_turn_is_the_plain_bilinear_one_to_the_bit() {
        let side = 31;
        let pixels: Vec<u8> = (0..side * side * 3).map(|at| (at * 37 % 251) as u8).collect();
        for (angle, magnification) in [(0.3_f32, 1.0_f32), (-2.0, 1.0), (1.0, 1.4), (0.0, 0.7)] {
            let (sine, cosine) = angle.sin_cos();
            let (sine, cosine) = (sine / magnification, cosine / magnification);
            let plain: Vec<u8> = (0..side * side)
                .flat_map(|place| {
                    let (x, y) = ((place % side) as f32 - 15.0, (place / side) as f32 - 15.0);
                    let (at_x, at_y) = (15.0 + cosine * x - sine * y, 15.0 + sine * x + cosine * y);
                    between(&pixels, side, at_x, at_y)
                })
                .collect();
            assert!(Pose { angle, magnification, ..STILL }.apply(&pixels, side) == plain);
        }
    }

    #[test]
    fn a_magnification_scales_the_cell_s_area_by_its_square() {
        let side = 101;
        let inside =
            |place: usize| (place % side).abs_diff(50).max((place / side).abs_diff(50)) < 15;
        let pixels: Vec<u8> =
            (0..side * side).flat_map(|place| [if inside(place) { 200 } else { 0 }; 3]).collect();
        for magnification in [0.6_f32, 1.0, 1.7] {
            let shown = Pose { magnification, ..STILL }.apply(&pixels, side);
            let lit: f32 = shown.iter().map(|sample| f32::from(*sample) / 600.0).sum();
            let expected = 29.0 * 29.0 * magnification * magnification;
            assert!((lit / expected - 1.0).abs() < 0.05, "{magnification}: {lit} {expected}");
        }
    }
}
