//! The light that falls through a field where no cell lies: its colour (white balance) and how it
//! falls off towards the edges (illumination).

use super::plane::{Colour, Plane};
use super::threshold::Histogram;

/// Coefficients of a polynomial of second degree in both directions.
type Surface = [f64; TERMS];
const TERMS: usize = 6;

/// Colour of the empty background at each place of a field.
///
/// A polynomial through the background's own pixels, as in Likar et al. 2000, "Retrospective
/// shading correction based on entropy minimization": light falls off smoothly.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Light {
    surfaces: [Surface; 3],
    /// Pixels of the capture along its longer side.
    side: f64,
    /// Lowest and highest background level that was seen, in each channel.
    range: [(f32, f32); 3],
    /// Share of the field, 0 to 1, that is empty background.
    pub(super) empty: f32,
}

/// Tiles along each side for the first guess: some tile is nearly always free of cells at some
/// place.
const TILES: usize = 6;
/// Of a tile's pixels, the share below its background: a tenth may be brighter (refraction, noise).
const BRIGHT: f64 = 0.9;
/// A pixel this near to the surface, as a share of it, is background.
const NEAR: f32 = 0.07;
/// At most this many pixels are fitted.
const FITTED: usize = 20_000;
/// With a smaller share of background a surface would follow the cells; the light is even then.
const MIN_EMPTY: f32 = 0.04;

impl Light {
    /// The light of a whole field that was reduced by `factor`.
    pub(super) fn estimate(field: &Plane<Colour>, factor: usize) -> Self {
        let side = (field.width.max(field.height) * factor) as f64;
        let green = |pixel: &Colour| pixel[1];
        let peak = brightest_peak(field.values.iter().map(green));
        let even = |level: f32| {
            let mut surface = [0.0; TERMS];
            surface[0] = f64::from(level);
            surface
        };
        let mut light =
            Self { surfaces: [even(peak); 3], side, range: [(peak * 0.5, 255.0); 3], empty: 0.0 };
        if let Some(surface) = light.first_guess(field, factor, peak) {
            light.surfaces = [surface; 3];
        }
        let stride = (field.values.len() / FITTED).max(1);
        for _ in 0..2 {
            let chosen: Vec<usize> = (0..field.values.len())
                .step_by(stride)
                .filter(|at| {
                    let place = light.place(at % field.width, at / field.width, factor);
                    let expected = light.level(1, place);
                    (field.values[*at][1] - expected).abs() <= NEAR * expected
                })
                .collect();
            let seen = field.values.len().div_ceil(stride);
            light.empty = chosen.len() as f32 / seen as f32;
            light.refit(field, factor, &chosen);
        }
        light
    }

    /// A surface through the tiles' bright levels, without the tiles that cells fill.
    fn first_guess(&self, field: &Plane<Colour>, factor: usize, peak: f32) -> Option<Surface> {
        let mut levels = Vec::new();
        for tile in 0..TILES * TILES {
            let span = |part: usize, length: usize| {
                part * length / TILES..((part + 1) * length / TILES).max(part * length / TILES + 1)
            };
            let (xs, ys) = (span(tile % TILES, field.width), span(tile / TILES, field.height));
            let mut histogram = Histogram::new(0.0, 256.0, std::iter::empty());
            for y in ys.clone() {
                let line = &field.values[y * field.width..(y + 1) * field.width];
                let pixels = line.get(xs.clone()).unwrap_or_default();
                histogram.add(pixels.iter().map(|pixel| pixel[1]));
            }
            let level = histogram.quantile(BRIGHT);
            let middle = [xs.start + xs.end, ys.start + ys.end];
            let place = middle.map(|ends| ends as f64 / 2.0 * factor as f64 / self.side);
            levels.push((place, f64::from(level)));
        }
        // The light differs by less than this from the brightest peak; a tile full of cells by
        // more.
        let mut kept: Vec<_> = levels;
        kept.retain(|(_, level)| (*level / f64::from(peak) - 1.0).abs() < 0.35);
        let fit = |tiles: &[([f64; 2], f64)]| {
            let [surface] = fit(tiles.iter().map(|(place, level)| (*place, [*level])));
            surface
        };
        let mut surface = fit(&kept)?;
        for _ in 0..4 {
            let before = kept.len();
            let short = |(place, level): &([f64; 2], f64)| {
                *level < value(&surface, *place) * (1.0 - f64::from(NEAR))
            };
            kept.retain(|tile| !short(tile));
            if kept.len() == before || kept.len() < 2 * TERMS {
                break;
            }
            surface = fit(&kept)?;
        }
        Some(surface)
    }

    fn refit(&mut self, field: &Plane<Colour>, factor: usize, chosen: &[usize]) {
        if chosen.is_empty() {
            return;
        }
        let points = chosen.iter().map(|at| {
            let place = self.place(at % field.width, at / field.width, factor);
            (place, field.values[*at].map(f64::from))
        });
        let fitted = if self.empty >= MIN_EMPTY { fit(points) } else { [None; 3] };
        for (channel, fitted) in fitted.into_iter().enumerate() {
            let level = |at: &usize| field.values[*at][channel];
            let levels = Histogram::new(0.0, 256.0, chosen.iter().map(level));
            self.range[channel] = (levels.quantile(0.02), levels.quantile(0.98).max(1.0));
            let mut even = [0.0; TERMS];
            even[0] = f64::from(levels.quantile(0.5));
            self.surfaces[channel] = fitted.unwrap_or(even);
        }
    }

    fn place(&self, x: usize, y: usize, factor: usize) -> [f64; 2] {
        [x, y].map(|at| (at as f64 + 0.5) * factor as f64 / self.side)
    }

    fn at_block(&self, x: usize, y: usize, factor: usize) -> Colour {
        let place = self.place(x, y, factor);
        [0, 1, 2].map(|channel| self.level(channel, place))
    }

    fn level(&self, channel: usize, place: [f64; 2]) -> f32 {
        let (low, high) = self.range[channel];
        (value(&self.surfaces[channel], place) as f32).clamp(low, high).max(1.0)
    }

    /// Divides each pixel by the light: 1 is empty background, 0 lets nothing through. `origin` is
    /// the plane's upper left corner in the capture, `factor` its reduction.
    pub(super) fn transmission(
        &self,
        plane: &mut Plane<Colour>,
        origin: (usize, usize),
        factor: usize,
    ) {
        // The light is smooth: it is computed once for each `STEP` pixels of a row.
        const STEP: usize = 8;
        let width = plane.width.max(1);
        for (y, line) in plane.values.chunks_mut(width).enumerate() {
            for (block, pixels) in line.chunks_mut(STEP).enumerate() {
                let x = (origin.0 + (block * STEP + STEP / 2) * factor) / factor;
                let own = self.at_block(x, (origin.1 + y * factor) / factor, factor);
                let inverse = own.map(|level| 1.0 / level);
                for pixel in pixels {
                    *pixel = [0, 1, 2].map(|channel| (pixel[channel] * inverse[channel]).min(1.3));
                }
            }
        }
    }
}

/// The brightest peak of the levels with at least one pixel in thirty around it: the background,
/// which may be less than the cells.
fn brightest_peak(levels: impl Iterator<Item = f32>) -> f32 {
    const AROUND: usize = 6;
    let mut counts = [0_u32; 256];
    let mut total = 0;
    for level in levels {
        counts[super::plane::index(level + 0.5, 256)] += 1;
        total += 1;
    }
    let around = |level: usize| -> u32 {
        counts[level.saturating_sub(AROUND)..(level + AROUND + 1).min(256)].iter().sum()
    };
    let sums: Vec<u32> = (0..256).map(around).collect();
    let is_peak = |level: &usize| {
        let near = &sums[level.saturating_sub(AROUND)..(level + AROUND + 1).min(256)];
        sums[*level] * 30 >= total && near.iter().all(|sum| *sum <= sums[*level])
    };
    (0..256).rev().find(is_peak).map_or(255.0, |level| level as f32)
}

fn terms([x, y]: [f64; 2]) -> Surface {
    [1.0, x, y, x * x, x * y, y * y]
}

fn value(surface: &Surface, place: [f64; 2]) -> f64 {
    surface.iter().zip(terms(place)).map(|(own, term)| own * term).sum()
}

/// Least squares by the normal equations, one surface for each of a point's levels; none where the
/// points lie too badly for it.
fn fit<const LEVELS: usize>(
    points: impl Iterator<Item = ([f64; 2], [f64; LEVELS])>,
) -> [Option<Surface>; LEVELS] {
    let mut products = [[0.0; TERMS]; TERMS];
    let mut right = [[0.0; TERMS]; LEVELS];
    for (place, levels) in points {
        let own = terms(place);
        for (row, term) in products.iter_mut().zip(own) {
            row.iter_mut().zip(own).for_each(|(sum, other)| *sum += term * other);
        }
        for (sums, level) in right.iter_mut().zip(levels) {
            sums.iter_mut().zip(own).for_each(|(sum, term)| *sum += term * level);
        }
    }
    right.map(|right| solve(products, right))
}

fn solve(products: [[f64; TERMS]; TERMS], right: Surface) -> Option<Surface> {
    let mut rows = [[0.0; TERMS + 1]; TERMS];
    for ((row, products), right) in rows.iter_mut().zip(products).zip(right) {
        row[..TERMS].copy_from_slice(&products);
        row[TERMS] = right;
    }
    for pivot in 0..TERMS {
        let best = (pivot..TERMS)
            .max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs()))?;
        rows.swap(pivot, best);
        if rows[pivot][pivot].abs() < 1e-9 {
            return None;
        }
        let own = rows[pivot];
        for (_, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != pivot) {
            let share = row[pivot] / own[pivot];
            row.iter_mut().zip(own).for_each(|(value, other)| *value -= share * other);
        }
    }
    let mut surface = [0.0; TERMS];
    surface.iter_mut().enumerate().for_each(|(at, own)| *own = rows[at][TERMS] / rows[at][at]);
    surface.iter().all(|own| own.is_finite()).then_some(surface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uneven_yellow_light_becomes_one_where_no_cell_lies() {
        let mut field = Plane::filled(120, 90, [0.0; 3]);
        for at in 0..field.values.len() {
            let (x, y) = ((at % 120) as f32, (at / 120) as f32);
            let fall = 1.0 - ((x - 70.0).powi(2) + (y - 40.0).powi(2)) / 40_000.0;
            let cell = (x - 30.0).hypot(y - 30.0) < 18.0 || (x - 90.0).hypot(y - 60.0) < 14.0;
            let own = if cell { [200.0, 120.0, 90.0] } else { [240.0, 225.0, 130.0] };
            field.values[at] = own.map(|level| level * fall);
        }
        let light = Light::estimate(&field, 1);
        light.transmission(&mut field, (0, 0), 1);
        for (x, y) in [(2, 2), (70, 40), (117, 3), (4, 85), (60, 80)] {
            let own = field.at(x, y);
            assert!(own.iter().all(|share| (share - 1.0).abs() < 0.03), "{x} {y}: {own:?}");
        }
        assert!(field.at(30, 30)[1] < 0.6);
    }

    #[test]
    fn a_field_full_of_cells_has_even_light() {
        let field = Plane::filled(60, 60, [200.0, 120.0, 130.0]);
        let mut own = field.clone();
        Light::estimate(&field, 1).transmission(&mut own, (0, 0), 1);
        assert!(own.values.iter().flatten().all(|share| (share - 1.0).abs() < 0.02));
    }
}
