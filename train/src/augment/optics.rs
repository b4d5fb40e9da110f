//! Focus and the sensor's noise.

use std::sync::LazyLock;

use leukd_cell::foreground::is_foreground;
use rand::Rng;

use super::{cell, level};

/// Gaussian blur with a standard deviation of `sigma` pixels, among the cell's pixels alone: each
/// becomes the weighted mean of those around it that are not black (Knutsson & Westin 1993,
/// "Normalized and differential convolution"). Weights end at 3 σ.
pub(super) fn blur(pixels: &mut [u8], side: usize, sigma: f32) {
    let Some(cell) = Parts::of(pixels, side) else { return };
    if sigma > 0.0 {
        cell.smooth(sigma).write(pixels, side);
    }
}

/// Standard deviations of the Gaussians between which a picture's bands lie, in pixels of the
/// network's input.
const SIGMAS: [f32; 4] = [0.5, 1.0, 2.0, 4.0];

/// How many bands there are: differences of neighbouring Gaussians, the picture itself the first.
/// What the last Gaussian leaves is no band and stays.
pub(super) const BANDS: usize = SIGMAS.len();

/// Multiplies each band of spatial frequencies by its own gain, the finest first (Burt & Adelson
/// 1983, "The Laplacian Pyramid as a Compact Image Code", without taking fewer pixels), among the
/// cell's pixels alone as [`blur`].
pub(super) fn bands(pixels: &mut [u8], side: usize, gains: [f32; BANDS]) {
    let Some(cell) = Parts::of(pixels, side) else { return };
    // Σ (fᵢ − fᵢ₊₁) · gᵢ + f₄ = f₀ · g₀ + Σ fᵢ · (gᵢ − gᵢ₋₁) with g₄ = 1.
    let mut total = cell.scaled(gains[0]);
    for (place, sigma) in SIGMAS.into_iter().enumerate() {
        let next = gains.get(place + 1).copied().unwrap_or(1.0);
        total.add_means(&cell.smooth(sigma), next - gains[place]);
    }
    total.write(pixels, side);
}

/// Sums over the cell's pixels, one for each pixel of the smallest rectangle that holds it.
struct Parts {
    extent: Extent,
    /// Red, green, blue and the weight of what was summed, row by row; all are 0 where the cell is
    /// not.
    values: Vec<f32>,
}

impl Parts {
    /// The cell itself, each pixel with a weight of 1. None where there is no cell.
    fn of(pixels: &[u8], side: usize) -> Option<Self> {
        let extent = Extent::of(pixels, side)?;
        let mut values = Vec::with_capacity(extent.width() * (extent.bottom - extent.top));
        for row in extent.rows(pixels, side) {
            for pixel in row.as_chunks::<3>().0 {
                let [red, green, blue] = *pixel;
                let lit = is_foreground(pixel);
                values.extend(if lit {
                    [red, green, blue, 1].map(f32::from)
                } else {
                    [0.0; PARTS]
                });
            }
        }
        Some(Self { extent, values })
    }

    /// Weighted sums over what lies around each pixel.
    #[expect(clippy::cast_sign_loss, reason = "a length")]
    fn smooth(&self, sigma: f32) -> Self {
        let radius = (3.0 * sigma).ceil() as usize;
        // Not normalised: the sum of the weights is divided by anyhow.
        let weights: Vec<f32> =
            (0..=radius).map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp()).collect();
        let width = self.extent.width();
        let mut across = vec![0.0_f32; self.values.len()];
        for (row, from) in across.chunks_exact_mut(width).zip(self.values.chunks_exact(width)) {
            add(row, from, weights[0]);
            for (at, weight) in weights.iter().enumerate().skip(1) {
                let apart = (PARTS * at).min(width);
                add(&mut row[apart..], from, *weight);
                add(row, &from[apart..], *weight);
            }
        }
        let across: Vec<&[f32]> = across.chunks_exact(width).collect();
        let mut values = vec![0.0_f32; self.values.len()];
        for (y, sums) in values.chunks_exact_mut(width).enumerate() {
            add(sums, across[y], weights[0]);
            for (at, weight) in weights.iter().enumerate().skip(1) {
                let both = [y.checked_sub(at), Some(y + at)].into_iter().flatten();
                for other in both.filter_map(|other| across.get(other)) {
                    add(sums, other, *weight);
                }
            }
        }
        Self { extent: self.extent, values }
    }

    /// Colours times `gain`, weights as they are.
    fn scaled(&self, gain: f32) -> Self {
        let by = [gain, gain, gain, 1.0];
        let values = self.values.iter().zip(by.iter().cycle()).map(|(value, by)| value * by);
        Self { extent: self.extent, values: values.collect() }
    }

    /// Adds the means that `sums` stand for, times `gain`, to colours of weight 1.
    fn add_means(&mut self, sums: &Self, gain: f32) {
        for (own, sums) in self.values.as_chunks_mut().0.iter_mut().zip(sums.values.as_chunks().0) {
            let [red, green, blue, weight]: [f32; PARTS] = *sums;
            let [own_red, own_green, own_blue, _]: &mut [f32; PARTS] = own;
            let by = if weight > 0.0 { gain / weight } else { 0.0 };
            *own_red += red * by;
            *own_green += green * by;
            *own_blue += blue * by;
        }
    }

    /// The means become the cell's pixels.
    fn write(&self, pixels: &mut [u8], side: usize) {
        let rows = self.values.chunks_exact(self.extent.width());
        for (row, sums) in self.extent.rows_mut(pixels, side).zip(rows) {
            for (pixel, sums) in row.as_chunks_mut::<3>().0.iter_mut().zip(sums.as_chunks().0) {
                if is_foreground(pixel) {
                    let [red, green, blue, weight]: [f32; PARTS] = *sums;
                    *pixel = [red, green, blue].map(|sum| level(sum / weight));
                }
            }
        }
    }
}

/// Red, green, blue and 1 of the cell's pixels, 0 of the others.
const PARTS: usize = 4;

/// The smallest rectangle that holds the cell: from, to, in pixels.
#[derive(Debug, Clone, Copy)]
struct Extent {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Extent {
    /// None where there is no cell.
    fn of(pixels: &[u8], side: usize) -> Option<Self> {
        let mut extent: Option<Self> = None;
        for (y, row) in pixels.chunks_exact(3 * side).enumerate() {
            let lit = || row.chunks_exact(3).map(is_foreground);
            let (Some(left), Some(last)) = (lit().position(|l| l), lit().rposition(|l| l)) else {
                continue;
            };
            let before = extent.unwrap_or(Self { left, right: 0, top: y, bottom: y });
            extent = Some(Self {
                left: before.left.min(left),
                right: before.right.max(last + 1),
                top: before.top,
                bottom: y + 1,
            });
        }
        extent
    }

    /// Numbers of a row of [`Parts`].
    const fn width(self) -> usize {
        PARTS * (self.right - self.left)
    }

    fn rows(self, pixels: &[u8], side: usize) -> impl Iterator<Item = &[u8]> {
        let rows = pixels.chunks_exact(3 * side).take(self.bottom).skip(self.top);
        rows.map(move |row| &row[3 * self.left..3 * self.right])
    }

    fn rows_mut(self, pixels: &mut [u8], side: usize) -> impl Iterator<Item = &mut [u8]> {
        let rows = pixels.chunks_exact_mut(3 * side).take(self.bottom).skip(self.top);
        rows.map(move |row| &mut row[3 * self.left..3 * self.right])
    }
}

/// As far as both go.
fn add(into: &mut [f32], from: &[f32], weight: f32) {
    for (into, from) in into.iter_mut().zip(from) {
        *into += weight * from;
    }
}

/// Adds to every sample of the cell a normal number with a standard deviation of `deviation`
/// levels, each its own.
pub(super) fn noise(pixels: &mut [u8], deviation: f32, rng: &mut impl Rng) {
    let normal = &*NORMAL;
    for pixel in cell(pixels) {
        // One draw for three numbers.
        let mut bits: u64 = rng.random();
        for sample in pixel {
            *sample = level(f32::from(*sample) + deviation * normal[bits as usize % normal.len()]);
            bits >>= BITS;
        }
    }
}

/// Random bits that one normal number takes.
const BITS: u32 = 12;

/// The standard normal distribution as equally likely numbers: its quantiles at (i + ½) / 4096, by
/// the rational approximation 26.2.23 of Abramowitz & Stegun 1964, whose error is below 4.5e-4.
static NORMAL: LazyLock<[f32; 1 << BITS]> = LazyLock::new(|| {
    let count = f64::from(1_u32 << BITS);
    std::array::from_fn(|place| {
        let share = (place as f64 + 0.5) / count;
        let t = (-2.0 * share.min(1.0 - share).ln()).sqrt();
        let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
        let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
        let quantile = t - above / below;
        (if share < 0.5 { -quantile } else { quantile }) as f32
    })
});

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A cell of `side` − 4 pixels square on black, red rising from left to right.
    fn square(side: usize) -> Vec<u8> {
        let inside = 2..side - 2;
        (0..side * side)
            .flat_map(|place| {
                let (x, y) = (place % side, place / side);
                let lit = inside.contains(&x) && inside.contains(&y);
                if lit { [20 + 4 * x as u8, 90, 150] } else { [0, 3, 0] }
            })
            .collect()
    }

    #[test]
    fn a_blur_neither_lights_the_background_nor_darkens_the_cell_s_edge() {
        let mut pixels = square(40);
        let before = pixels.clone();
        blur(&mut pixels, 40, 1.5);
        assert_ne!(pixels, before);
        for (now, then) in pixels.chunks(3).zip(before.chunks(3)) {
            if is_foreground(then) {
                assert_eq!(now[1..], then[1..], "an even channel stays even up to the edge");
            } else {
                assert_eq!(now, then);
            }
        }
    }

    #[test]
    fn a_blur_is_the_gaussian_of_its_width() {
        // One bright pixel in the midst of a grey cell.
        let side = 41;
        let mut pixels = vec![50_u8; side * side * 3];
        pixels[(20 * side + 20) * 3] = 250;
        let sigma = 1.2_f32;
        blur(&mut pixels, side, sigma);
        let weight = |at: i32| (-0.5 * (at as f32 / sigma).powi(2)).exp();
        let sum: f32 = (-4..=4).map(weight).sum();
        for (x, apart) in (16..=24).zip(-4..) {
            let share = weight(apart) / sum * weight(0) / sum;
            let found = pixels[(20 * side + x) * 3];
            assert_eq!(found, level(50.0 + 200.0 * share), "{x}");
        }
    }

    #[test]
    fn bands_with_a_gain_of_1_stay_and_the_finest_band_makes_an_edge_sharper() {
        let side = 40;
        let mut pixels = square(side);
        // A step in green down the middle.
        for pixel in pixels.as_chunks_mut::<3>().0.chunks_exact_mut(side) {
            for pixel in &mut pixel[side / 2..side - 2] {
                pixel[1] += if pixel[1] == 90 { 40 } else { 0 };
            }
        }
        let before = pixels.clone();
        bands(&mut pixels, side, [1.0; BANDS]);
        assert_eq!(pixels, before);
        let green = |pixels: &[u8], x: usize| pixels[(side / 2 * side + x) * 3 + 1];
        bands(&mut pixels, side, [2.0, 1.0, 1.0, 1.0]);
        assert!(green(&pixels, side / 2 - 1) < 90, "overshoot on the darker side");
        assert!(green(&pixels, side / 2) > 130, "and on the lighter one");
        assert_eq!((green(&pixels, 8), green(&pixels, side - 9)), (90, 130), "not far from it");
        let mut soft = before.clone();
        bands(&mut soft, side, [0.0; BANDS]);
        let mut blurred = before.clone();
        blur(&mut blurred, side, SIGMAS[BANDS - 1]);
        assert_eq!(soft, blurred, "without its bands a picture is its last Gaussian");
        for (now, then) in pixels.chunks(3).zip(before.chunks(3)) {
            assert!(is_foreground(then) || now == then, "the background stays");
        }
    }

    #[test]
    fn noise_has_the_mean_0_and_the_deviation_that_is_asked_for() {
        let mut pixels = vec![128_u8; 90_000];
        noise(&mut pixels, 6.0, &mut ChaCha8Rng::seed_from_u64(1));
        let apart = || pixels.iter().map(|sample| f64::from(*sample) - 128.0);
        let mean = apart().sum::<f64>() / 90_000.0;
        let deviation = (apart().map(|own| own * own).sum::<f64>() / 90_000.0).sqrt();
        assert!(mean.abs() < 0.08, "{mean}");
        // 8-bit rounding adds a variance of 1/12.
        assert!((deviation - 6.007).abs() < 0.08, "{deviation}");
        let beyond = apart().filter(|own| own.abs() > 12.0).count() as f64 / 90_000.0;
        assert!((0.025..0.05).contains(&beyond), "{beyond}");
    }
}
