//! Mean and spread of a figure, number by number and without keeping the numbers.

use crate::fraction::real;

/// Of numbers on a line (Welford 1962, "Note on a method for calculating corrected sums of squares
/// and products").
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// One more number.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / real(self.count);
        self.squares += off * (value - self.mean);
    }

    /// Those of `other` too (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    /// variance").
    pub fn join(&mut self, other: &Self) {
        let all = self.count + other.count;
        if all == 0 {
            return;
        }
        let off = other.mean - self.mean;
        let share = real(other.count) / real(all);
        self.mean += off * share;
        self.squares += other.squares + off * off * real(self.count) * share;
        self.count = all;
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; none without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Their standard deviation, of a sample; none of fewer than two.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares.max(0.0) / real(self.count - 1)).sqrt())
    }
}

/// Of angles in degrees: the direction of their sum, and √(−2 ln R) for the length R of their mean
/// (Mardia & Jupp 2000, "Directional Statistics"). Hues on both sides of red have a mean that is
/// red.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Circular {
    count: u64,
    east: f64,
    north: f64,
}

impl Circular {
    fn add(&mut self, degrees: f64) {
        let (north, east) = degrees.to_radians().sin_cos();
        self.count += 1;
        self.east += east;
        self.north += north;
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.east += other.east;
        self.north += other.north;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.north.atan2(self.east).to_degrees().rem_euclid(360.0))
    }

    fn deviation(&self) -> Option<f64> {
        let length = self.north.hypot(self.east) / real(self.count.max(1));
        // Rounding may make it longer than 1; of angles all around it is next to nothing.
        (self.count > 1).then(|| (-2.0 * length.clamp(1e-9, 1.0).ln()).sqrt().to_degrees())
    }
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Numbers.
    Line(Moments),
    /// Angles.
    Circle(Circular),
}

impl Spread {
    /// One more.
    pub fn add(&mut self, value: f64) {
        match self {
            Self::Line(line) => line.add(value),
            Self::Circle(circle) => circle.add(value),
        }
    }

    /// Those of `other`, which is of the same kind, too.
    pub fn join(&mut self, other: &Self) {
        match (self, other) {
            (Self::Line(line), Self::Line(other)) => line.join(other),
            (Self::Circle(circle), Self::Circle(other)) => circle.join(other),
            _ => debug_assert!(false, "numbers are no angles"),
        }
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        match self {
            Self::Line(line) => line.count,
            Self::Circle(circle) => circle.count,
        }
    }

    /// Their mean; none without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        match self {
            Self::Line(line) => line.mean(),
            Self::Circle(circle) => circle.mean(),
        }
    }

    /// Their standard deviation; none of fewer than two.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        match self {
            Self::Line(line) => line.deviation(),
            Self::Circle(circle) => circle.deviation(),
        }
    }

    /// How far the mean has moved since `before`, in spreads: Cohen's d with the root of both
    /// variances' mean (Cohen 1988, "Statistical power analysis for the behavioral sciences", who
    /// calls 0.8 large). Of angles the shorter way around. None where either has fewer than two, or
    /// all are equal.
    #[must_use]
    pub fn shift_since(&self, before: &Self) -> Option<f64> {
        let (now, then) = (self.mean()?, before.mean()?);
        let spread = self.deviation()?.hypot(before.deviation()?) / 2.0_f64.sqrt();
        let off = match self {
            Self::Line(_) => now - then,
            Self::Circle(_) => (now - then + 180.0).rem_euclid(360.0) - 180.0,
        };
        (spread > 0.0).then(|| off / spread)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64], mut spread: Spread) -> Spread {
        values.iter().for_each(|value| spread.add(*value));
        spread
    }

    const LINE: Spread = Spread::Line(Moments { count: 0, mean: 0.0, squares: 0.0 });
    const CIRCLE: Spread = Spread::Circle(Circular { count: 0, east: 0.0, north: 0.0 });

    proptest! {
        #[test]
        fn parts_that_are_joined_are_the_whole(
            values in prop::collection::vec(-1e4_f64..1e4, 2..60), cut in 0_usize..60, circle: bool
        ) {
            let empty = if circle { CIRCLE } else { LINE };
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut joined = of(left, empty);
            joined.join(&of(right, empty));
            let whole = of(&values, empty);
            prop_assert_eq!(joined.count(), whole.count());
            let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-6;
            if !circle {
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
                prop_assert!(near(joined.mean(), whole.mean()) && near(whole.mean(), Some(mean)));
                prop_assert!(near(whole.deviation(), Some((square / (n - 1.0)).sqrt())));
                prop_assert!(near(joined.deviation(), whole.deviation()));
            }
        }
    }

    #[test]
    fn hues_around_red_have_a_red_mean_and_a_small_spread() {
        let hues = of(&[350.0, 10.0, 355.0, 5.0], CIRCLE);
        let mean = hues.mean().unwrap();
        assert!(!(1e-6..=359.999_999).contains(&mean), "{mean}");
        assert!((7.0..9.0).contains(&hues.deviation().unwrap()), "{hues:?}");
        let moved = of(&[0.0, 20.0, 5.0, 15.0], CIRCLE).shift_since(&hues).unwrap();
        assert!((1.2..1.4).contains(&moved), "ten degrees of some eight: {moved}");
        let back = hues.shift_since(&of(&[0.0, 20.0, 5.0, 15.0], CIRCLE)).unwrap();
        assert!((moved + back).abs() < 1e-9);
    }

    #[test]
    fn equal_numbers_have_no_shift_and_single_ones_no_spread() {
        assert_eq!(of(&[3.0, 3.0], LINE).shift_since(&of(&[2.0, 2.0], LINE)), None);
        assert_eq!(of(&[3.0], LINE).deviation(), None);
        assert_eq!(LINE.mean(), None);
        let one = of(&[1.0, 3.0], LINE).shift_since(&of(&[0.0, 2.0], LINE)).unwrap();
        assert!((one - 1.0 / 2.0_f64.sqrt()).abs() < 1e-12);
    }
}
