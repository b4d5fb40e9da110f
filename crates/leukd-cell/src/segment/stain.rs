//! What stain and haemoglobin do to light, from the transmission of each channel (1 is background).

use super::plane::{Colour, Plane};
use super::threshold::Histogram;

/// How much a pixel looks like a stained nucleus: blue above green, and dark in red.
///
/// Azure dyes take green and red and let blue through; haemoglobin takes blue and green and lets
/// red through. Background 0, red cells 0.1 to 0.5, nuclei 0.5 to 1.4.
pub(super) fn nuclear(transmission: Colour) -> f32 {
    let [red, green, blue] = transmission;
    blue - green + 1.0 - red
}

/// How much a pixel holds at all: the light that is missing in green, which every dye and
/// haemoglobin take. Background 0, opaque 1.
pub(super) fn density(transmission: Colour) -> f32 {
    1.0 - transmission[1]
}

/// Ends between which the threshold of nuclei lies, whatever the field holds. A field without white
/// cells has no class of nuclei: there red cells would be parted in two.
const NUCLEUS_THRESHOLDS: (f32, f32) = (0.34, 0.75);

/// The threshold of [`nuclear`] between nuclei and everything else, over a whole field.
///
/// Three classes (Otsu 1979) of evened counts: nuclei are few beside red cells and background.
pub(super) fn nucleus_threshold(field: &Plane<Colour>) -> f32 {
    let values = field.values.iter().map(|pixel| nuclear(*pixel));
    let (_, high) = Histogram::new(0.0, 1.5, values).evened().otsu_three();
    high.clamp(NUCLEUS_THRESHOLDS.0, NUCLEUS_THRESHOLDS.1)
}

/// Ends between which the threshold of cells lies.
const CELL_THRESHOLDS: (f32, f32) = (0.05, 0.14);

/// The threshold of [`density`] between cells and background, over a whole field: a share of the
/// middle of what Otsu's method finds above it, since pale rims belong to the cells.
pub(super) fn cell_threshold(field: &Plane<Colour>) -> f32 {
    let values = field.values.iter().map(|pixel| density(*pixel));
    let otsu = Histogram::new(0.0, 0.8, values).otsu();
    otsu.clamp(CELL_THRESHOLDS.0, CELL_THRESHOLDS.1)
}

/// Mean and spread of a class of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ColourClass {
    pub(super) mean: [f32; 3],
    /// Covariance, by rows.
    covariance: [[f32; 3]; 3],
    pub(super) count: usize,
}

impl ColourClass {
    /// None without pixels.
    pub(super) fn new(pixels: impl Iterator<Item = Colour>) -> Option<Self> {
        let (mut count, mut sums, mut products) = (0_usize, [0.0_f64; 3], [[0.0_f64; 3]; 3]);
        for pixel in pixels {
            let own = pixel.map(f64::from);
            count += 1;
            for row in 0..3 {
                sums[row] += own[row];
                for column in 0..3 {
                    products[row][column] += own[row] * own[column];
                }
            }
        }
        if count == 0 {
            return None;
        }
        let mean = sums.map(|sum| sum / count as f64);
        let mut covariance = [[0.0_f32; 3]; 3];
        for row in 0..3 {
            for column in 0..3 {
                let product = products[row][column] / count as f64;
                covariance[row][column] = (product - mean[row] * mean[column]) as f32;
            }
        }
        Some(Self { mean: mean.map(|mean| mean as f32), covariance, count })
    }
}

/// Distances from a class in its own standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Metric {
    mean: [f32; 3],
    /// Inverse of the covariance, by rows.
    inverse: [[f32; 3]; 3],
}

impl Metric {
    /// None for a class whose pixels lie in a plane, which noise prevents.
    pub(super) fn new(class: &ColourClass) -> Option<Self> {
        let mut covariance = class.covariance;
        (0..3).for_each(|at| covariance[at][at] += NOISE);
        // The inverse of a symmetric matrix is symmetric: its columns are its rows.
        let column = |at: usize| {
            let mut unit = [0.0; 3];
            unit[at] = 1.0;
            solve(covariance, unit)
        };
        Some(Self { mean: class.mean, inverse: [column(0)?, column(1)?, column(2)?] })
    }

    /// The squared distance (Mahalanobis 1936).
    pub(super) fn squared(&self, pixel: Colour) -> f32 {
        let off = [0, 1, 2].map(|at| pixel[at] - self.mean[at]);
        let row = |at: usize| {
            let [a, b, c] = self.inverse[at];
            off[at] * (a * off[0] + b * off[1] + c * off[2])
        };
        row(0) + row(1) + row(2)
    }
}

/// The line through colour space that parts two classes best.
///
/// Fisher 1936, "The use of multiple measurements in taxonomic problems".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Discriminant {
    weights: [f32; 3],
    offset: f32,
    /// Distance of the two means in standard deviations (Mahalanobis).
    pub(super) separation: f32,
}

/// Variance that is added to each channel: noise that a small sample may lack.
const NOISE: f32 = 4e-4;

impl Discriminant {
    /// 1 at the mean of `wanted`, -1 at that of `other`; none where the two lie on each other.
    pub(super) fn between(wanted: &ColourClass, other: &ColourClass) -> Option<Self> {
        let pooled = [0, 1, 2].map(|row| {
            [0, 1, 2].map(|column| {
                let both = wanted.covariance[row][column] + other.covariance[row][column];
                both / 2.0 + if row == column { NOISE } else { 0.0 }
            })
        });
        let apart = [0, 1, 2].map(|at| wanted.mean[at] - other.mean[at]);
        let direction = solve(pooled, apart)?;
        let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let squared = dot(direction, apart);
        if squared <= 1e-6 || !squared.is_finite() {
            return None;
        }
        let weights = direction.map(|own| 2.0 * own / squared);
        let middle = [0, 1, 2].map(|at| (wanted.mean[at] + other.mean[at]) / 2.0);
        Some(Self { weights, offset: dot(weights, middle), separation: squared.sqrt() })
    }

    pub(super) fn at(&self, pixel: Colour) -> f32 {
        let [a, b, c] = self.weights;
        a * pixel[0] + b * pixel[1] + c * pixel[2] - self.offset
    }
}

/// Cramer's rule.
fn solve(m: [[f32; 3]; 3], right: [f32; 3]) -> Option<[f32; 3]> {
    let determinant = |m: [[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(m);
    if whole.abs() < 1e-14 {
        return None;
    }
    Some([0, 1, 2].map(|column| {
        let mut own = m;
        (0..3).for_each(|row| own[row][column] = right[row]);
        determinant(own) / whole
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discriminant_is_one_at_the_wanted_mean() {
        let around = |middle: [f32; 3]| {
            let steps = (0..60).map(move |step| {
                let shake = |at: usize| ((step * (at + 3)) % 7) as f32 * 0.01 - 0.03;
                [0, 1, 2].map(|at| middle[at] + shake(at))
            });
            ColourClass::new(steps).unwrap()
        };
        let (blue, red) = (around([0.79, 0.72, 0.9]), around([0.79, 0.63, 0.77]));
        let line = Discriminant::between(&blue, &red).unwrap();
        assert!((line.at(blue.mean) - 1.0).abs() < 1e-3);
        assert!((line.at(red.mean) + 1.0).abs() < 1e-3);
        assert!(line.separation > 2.0, "{}", line.separation);
        assert_eq!(Discriminant::between(&red, &red), None);
    }

    #[test]
    fn a_field_without_nuclei_keeps_a_high_threshold() {
        let red = Plane::filled(50, 50, [0.9, 0.78, 0.83]);
        let threshold = nucleus_threshold(&red);
        assert!(threshold >= 0.34 && nuclear([0.9, 0.78, 0.83]) < threshold);
    }
}
