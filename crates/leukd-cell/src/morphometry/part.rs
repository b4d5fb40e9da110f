//! Outline and statistics of a part of the square: a mask of its pixels.

use std::ops::Range;

use crate::segment::plane::Plane;

/// Shape of a mask, in numbers that scale leaves alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Squared length of the outline in pixels over the area: about 10 for a disc, more for a
    /// ragged or notched outline.
    pub(super) roundness: f64,
    /// The short axis over the long one, above 0 to 1: those of the ellipse with the same second
    /// moments.
    pub(super) elongation: f64,
    /// The area over that of this ellipse: 1 for an ellipse, less where the outline is notched.
    pub(super) ellipse: f64,
}

impl Shape {
    /// The shape of what is set; that of a disc where fewer than ten pixels are.
    pub(super) fn of(mask: &Plane<bool>) -> Self {
        let (mut area, mut edge) = (0_usize, 0_usize);
        // Sums over columns and rows are whole numbers: nothing is rounded.
        let (mut sums, mut squares) = ([0_usize; 2], [0_usize; 3]);
        for run in Part::of(mask).0 {
            let (y, from) = (run.start / mask.width, run.start % mask.width);
            let to = from + run.len();
            // A pixel has all four neighbours except at the run's ends and where a row beside ends.
            let beside = |row: Option<usize>, x: usize| {
                row.filter(|row| *row < mask.height).is_some_and(|row| mask.at(x, row))
            };
            let inner = |x: usize| {
                x > from && x + 1 < to && beside(y.checked_sub(1), x) && beside(Some(y + 1), x)
            };
            area += run.len();
            edge += (from..to).filter(|x| !inner(*x)).count();
            let (along, along_squared) =
                (from..to).fold((0, 0), |(one, two), x| (one + x, two + x * x));
            sums[0] += along;
            sums[1] += y * run.len();
            squares[0] += along_squared;
            squares[1] += along * y;
            squares[2] += y * y * run.len();
        }
        let (area, edge) = (area as f64, edge as f64);
        let (sums, squares) = (sums.map(|sum| sum as f64), squares.map(|sum| sum as f64));
        if area < 10.0 {
            return Self { roundness: 4.0 * std::f64::consts::PI, elongation: 1.0, ellipse: 1.0 };
        }
        let [x, y] = sums.map(|sum| sum / area);
        let [xx, xy, yy] = [(squares[0], x * x), (squares[1], x * y), (squares[2], y * y)]
            .map(|(sum, mean)| sum / area - mean);
        // Eigenvalues of the covariance.
        let (middle, spread) = ((xx + yy) / 2.0, ((xx - yy) / 2.0).hypot(xy));
        let (long, short) = (middle + spread, (middle - spread).max(1e-6));
        Self {
            roundness: edge * edge / area,
            elongation: (short / long).sqrt(),
            ellipse: area / (4.0 * std::f64::consts::PI * (short * long).sqrt()),
        }
    }
}

/// Mean, standard deviation and standardised moments of some values; 0 without any.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) count: usize,
    pub(super) mean: f64,
    pub(super) deviation: f64,
    /// Third central moment, not divided by anything.
    third: f64,
}

impl Moments {
    pub(super) fn of(values: &[f32]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let share = 1.0 / values.len() as f64;
        let mean = sum(values, |value| value) * share;
        let second = sum(values, |value| (value - mean) * (value - mean)) * share;
        let third = sum(values, |value| (value - mean) * (value - mean) * (value - mean)) * share;
        Self { count: values.len(), mean, deviation: second.sqrt(), third }
    }

    /// Third central moment over the cubed deviation, held to ±5.
    pub(super) fn skewness(&self) -> f64 {
        (self.third / (self.deviation.powi(3) + 1e-6)).clamp(-5.0, 5.0)
    }
}

/// Sum of a term of each value: eight sums side by side, for none waits for the one before.
pub(super) fn sum(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += term(f64::from(*value)));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| term(f64::from(*value))).sum::<f64>()
}

/// Places of a plane that a mask sets: runs within rows.
pub(super) struct Part(Vec<Range<usize>>);

impl Part {
    pub(super) fn of(mask: &Plane<bool>) -> Self {
        let mut runs = Vec::with_capacity(mask.height);
        for (y, row) in mask.values.chunks_exact(mask.width.max(1)).enumerate() {
            let mut x = 0;
            for same in row.chunk_by(|one, two| one == two) {
                let start = y * mask.width + x;
                x += same.len();
                if same[0] {
                    runs.push(start..start + same.len());
                }
            }
        }
        Self(runs)
    }

    /// The values of `plane` at these places.
    pub(super) fn values(&self, plane: &Plane<f32>) -> Vec<f32> {
        let mut values = Vec::with_capacity(plane.values.len());
        self.0.iter().for_each(|run| values.extend_from_slice(&plane.values[run.clone()]));
        values
    }

    pub(super) fn moments(&self, plane: &Plane<f32>) -> Moments {
        Moments::of(&self.values(plane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ellipse(wide: f64, high: f64) -> Plane<bool> {
        let mut mask = Plane::filled(112, 112, false);
        for (at, set) in mask.values.iter_mut().enumerate() {
            let (x, y) = ((at % 112) as f64 - 55.5, (at / 112) as f64 - 55.5);
            *set = (x / wide).hypot(y / high) < 1.0;
        }
        mask
    }

    #[test]
    fn an_ellipse_has_its_axes_and_a_bite_makes_it_less_of_one() {
        let whole = Shape::of(&ellipse(40.0, 20.0));
        assert!((whole.elongation - 0.5).abs() < 0.01, "{whole:?}");
        assert!((whole.ellipse - 1.0).abs() < 0.01, "{whole:?}");
        let mut bitten = ellipse(40.0, 40.0);
        (0..56).for_each(|y| bitten.values[y * 112 + 40..y * 112 + 72].fill(false));
        let (bitten, disc) = (Shape::of(&bitten), Shape::of(&ellipse(40.0, 40.0)));
        assert!(bitten.ellipse < 0.95 && bitten.roundness > disc.roundness + 3.0, "{bitten:?}");
    }

    #[test]
    fn moments_are_those_of_the_values() {
        let seen = Moments::of(&[1.0, 2.0, 3.0, 10.0]);
        assert_eq!((seen.count, seen.mean), (4, 4.0));
        assert!((seen.deviation - 12.5_f64.sqrt()).abs() < 1e-9);
        assert!((seen.skewness() - 45.0 / 12.5_f64.powf(1.5)).abs() < 1e-6, "{seen:?}");
        assert_eq!(Moments::of(&[]), Moments::default());
    }
}
