//! What training varies in a picture: everything that does not change what a cell is.

use leukd::cell::quality::BLACK;
use rand::Rng;

use crate::recipe::Augmentation;

/// Optical density of each stain in red, green and blue: haematoxylin, eosin and a residue (Ruifrok
/// & Johnston 2001, "Quantification of histochemical staining by color deconvolution"). C-NMC's
/// stain is Jenner and Giemsa, for which no such matrix is published; its blue and its red dye lie
/// close to these.
const STAINS: [[f32; 3]; 3] = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];

/// One random variant of a picture of `side` × `side` pixels, row by row, red green blue.
///
/// What is black stays black, and the cell's size, a cue, stays as it is.
#[must_use]
pub fn vary(pixels: &[u8], side: usize, how: &Augmentation, rng: &mut impl Rng) -> Vec<u8> {
    let pose = Pose::draw(how, rng);
    let mut varied = pose.apply(pixels, side);
    if how.stain > 0.0 {
        let amounts = std::array::from_fn(|_| factor(how.stain, rng));
        restain(&mut varied, amounts);
    }
    if how.brightness > 0.0 || how.colour > 0.0 {
        let overall = factor(how.brightness, rng);
        let gains: [f32; 3] = std::array::from_fn(|_| overall * factor(how.colour, rng));
        for pixel in varied.chunks_exact_mut(3).filter(|pixel| !is_black(pixel)) {
            for (sample, gain) in pixel.iter_mut().zip(gains) {
                *sample = level(f32::from(*sample) * gain);
            }
        }
    }
    varied
}

/// Background, noise of compression included.
fn is_black(pixel: &[u8]) -> bool {
    pixel.iter().all(|sample| *sample <= BLACK)
}

/// How a picture is laid: flips, then quarter turns, then a turn by an angle.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pose {
    flip_x: bool,
    flip_y: bool,
    quarters: u8,
    /// Radians.
    angle: f32,
}

impl Pose {
    fn draw(how: &Augmentation, rng: &mut impl Rng) -> Self {
        let most = how.rotation.to_radians() as f32;
        Self {
            flip_x: how.flip_horizontal && rng.random(),
            flip_y: how.flip_vertical && rng.random(),
            quarters: if how.quarter_turns { rng.random_range(0..4) } else { 0 },
            angle: if most > 0.0 { rng.random_range(-most..=most) } else { 0.0 },
        }
    }

    fn apply(self, pixels: &[u8], side: usize) -> Vec<u8> {
        let mut laid = Vec::with_capacity(pixels.len());
        if self.angle == 0.0 {
            for y in 0..side {
                for x in 0..side {
                    let (x, y) = self.source(x, y, side);
                    let from = (y * side + x) * 3;
                    laid.extend_from_slice(&pixels[from..from + 3]);
                }
            }
            return laid;
        }
        let (sine, cosine) = self.angle.sin_cos();
        let middle = (side as f32 - 1.0) / 2.0;
        for y in 0..side {
            for x in 0..side {
                let (dx, dy) = (x as f32 - middle, y as f32 - middle);
                let at_x = middle + cosine * dx - sine * dy;
                let at_y = middle + sine * dx + cosine * dy;
                laid.extend(self.between(pixels, side, at_x, at_y));
            }
        }
        laid
    }

    /// Which pixel comes to (`x`, `y`).
    fn source(self, x: usize, y: usize, side: usize) -> (usize, usize) {
        let last = side - 1;
        let (mut x, mut y) = (x, y);
        for _ in 0..self.quarters {
            (x, y) = (y, last - x);
        }
        (if self.flip_x { last - x } else { x }, if self.flip_y { last - y } else { y })
    }

    /// Bilinear between the four pixels around a point; black outside.
    #[expect(clippy::cast_sign_loss, reason = "negative places are taken out before")]
    fn between(self, pixels: &[u8], side: usize, x: f32, y: f32) -> [u8; 3] {
        let (left, top) = (x.floor(), y.floor());
        let mut sum = [0.0_f32; 3];
        for (at_y, share_y) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
            for (at_x, share_x) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
                let inside = 0.0..side as f32;
                if !inside.contains(&at_x) || !inside.contains(&at_y) {
                    continue;
                }
                let (from_x, from_y) = self.source(at_x as usize, at_y as usize, side);
                let from = (from_y * side + from_x) * 3;
                for (sum, sample) in sum.iter_mut().zip(&pixels[from..from + 3]) {
                    *sum += share_x * share_y * f32::from(*sample);
                }
            }
        }
        sum.map(level)
    }
}

/// Multiplies the amount of each stain in every pixel that is not black (Tellez et al. 2018,
/// "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference", section
/// III-D: colour deconvolution, change, and back).
fn restain(pixels: &mut [u8], amounts: [f32; 3]) {
    let mixing = mixing(amounts);
    // Density of level v: −ln((v + 1) / 256), so that black has one.
    let densities: [f32; 256] = std::array::from_fn(|v| -((v as f32 + 1.0) / 256.0).ln());
    for pixel in pixels.chunks_exact_mut(3).filter(|pixel| !is_black(pixel)) {
        let density: [f32; 3] = std::array::from_fn(|channel| densities[pixel[channel] as usize]);
        for (channel, sample) in pixel.iter_mut().enumerate() {
            let changed: f32 =
                density.iter().zip(&mixing).map(|(own, row)| own * row[channel]).sum();
            *sample = level(256.0 * (-changed).exp() - 1.0);
        }
    }
}

/// Densities in red, green, blue → amounts of stain → changed amounts → densities, as one matrix
/// for row vectors: `STAINS⁻¹ · diag(amounts) · STAINS`.
fn mixing(amounts: [f32; 3]) -> [[f32; 3]; 3] {
    let inverse = inverse(&STAINS);
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            (0..3).map(|stain| inverse[row][stain] * amounts[stain] * STAINS[stain][column]).sum()
        })
    })
}

/// By cofactors.
fn inverse(m: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let at = |r: usize, c: usize| m[(row + r) % 3][(column + c) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f32 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
}

fn factor(spread: f64, rng: &mut impl Rng) -> f32 {
    let spread = spread as f32;
    if spread > 0.0 { 1.0 + rng.random_range(-spread..=spread) } else { 1.0 }
}

/// The nearest level of 8 bits.
#[expect(clippy::cast_sign_loss, reason = "clamped before")]
fn level(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const STILL: Augmentation = Augmentation {
        flip_horizontal: false,
        flip_vertical: false,
        quarter_turns: false,
        rotation: 0.0,
        brightness: 0.0,
        colour: 0.0,
        stain: 0.0,
    };

    /// As dark as background may be: not one level brighter, or it would count as a cell.
    const BACKGROUND: [u8; 3] = [BLACK, BLACK - 1, BLACK];

    /// A disc of a cell's colours on black.
    fn disc(side: usize) -> Vec<u8> {
        let middle = (side as f32 - 1.0) / 2.0;
        (0..side * side)
            .flat_map(|place| {
                let (x, y) = ((place % side) as f32 - middle, (place / side) as f32 - middle);
                if x.hypot(y) < side as f32 / 4.0 { [150, 90, 170] } else { BACKGROUND }
            })
            .collect()
    }

    fn lit(pixels: &[u8]) -> usize {
        pixels.chunks(3).filter(|pixel| pixel.iter().any(|sample| *sample > BLACK)).count()
    }

    #[test]
    fn each_augmentation_keeps_the_background_black_and_the_cell_its_size() {
        let side = 40;
        let pixels = disc(side);
        let each = [
            Augmentation { flip_horizontal: true, ..STILL },
            Augmentation { flip_vertical: true, ..STILL },
            Augmentation { quarter_turns: true, ..STILL },
            Augmentation { rotation: 30.0, ..STILL },
            Augmentation { brightness: 0.3, ..STILL },
            Augmentation { colour: 0.2, ..STILL },
            Augmentation { stain: 0.3, ..STILL },
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for how in each {
            let mut changed = false;
            for _ in 0..20 {
                let varied = vary(&pixels, side, &how, &mut rng);
                // The disc's rim is blended when it is turned; beyond it nothing is lit.
                for (place, pixel) in varied.chunks(3).enumerate() {
                    let (x, y) = ((place % side) as f32 - 19.5, (place / side) as f32 - 19.5);
                    assert!(x.hypot(y) < 12.0 || is_black(pixel), "{how:?} at {place}");
                }
                let (before, after) = (lit(&pixels) as f64, lit(&varied) as f64);
                assert!((after / before - 1.0).abs() < 0.25, "{how:?}: {before} {after}");
                changed |= varied != pixels;
            }
            // A disc looks the same from either side.
            let shape_alone = how.flip_horizontal || how.flip_vertical || how.quarter_turns;
            assert!(changed || shape_alone, "{how:?}");
        }
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let pixels = disc(16);
        assert_eq!(vary(&pixels, 16, &STILL, &mut ChaCha8Rng::seed_from_u64(1)), pixels);
    }

    #[test]
    fn every_flip_and_turn_moves_every_pixel_once() {
        for bits in 0..16_u8 {
            let pose = Pose {
                flip_x: bits & 1 == 1,
                flip_y: bits & 2 == 2,
                quarters: bits >> 2,
                angle: 0.0,
            };
            let mut places: Vec<_> =
                (0..25).map(|place| pose.source(place % 5, place / 5, 5)).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), 25);
        }
    }

    #[test]
    fn stains_that_are_not_changed_give_the_picture_back() {
        let mut pixels = disc(8);
        restain(&mut pixels, [1.0; 3]);
        for (now, then) in pixels.iter().zip(disc(8)) {
            assert!(now.abs_diff(then) <= 1);
        }
    }
}
