//! The score of a specimen: what the cells of one person say together. Arithmetic alone.
//!
//! No cell's result depends on it, and it depends on no other specimen.

use crate::fraction::{Z, real};

/// The share of the cells that is left out at either end before the mean is taken: few cells that
/// are none, or that a model is wildly sure of, do not move it.
const TRIM: f64 = 0.1;

/// Fewer cells have no score: their spread would be a guess.
pub const LEAST_CELLS: u64 = 10;

/// A P(all) counts as no nearer to 0 or 1 than this, so that its logit is finite.
const NEAREST: f64 = 1e-6;

/// The trimmed mean of a specimen's cells, in logits of P(all).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The mean: above 0 the cells look like blasts, below like normal ones.
    pub value: f64,
    /// The 95 % interval's lower end. The interval says how far other cells of the same specimen
    /// might move the mean, and nothing of how persons differ.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// How many cells it is the mean of, those left out at the ends among them.
    pub cells: u64,
}

/// ln(p / (1 − p)) of a calibrated P(all), 0 to 1.
#[must_use]
pub fn logit(p_all: f64) -> f64 {
    let p = p_all.clamp(NEAREST, 1.0 - NEAREST);
    (p / (1.0 - p)).ln()
}

/// The mean of `cells` logits in ascending order, without the tenth at either end; none of fewer
/// than [`LEAST_CELLS`].
///
/// The interval is that of Tukey & McLaughlin 1963, "Less vulnerable confidence and significance
/// procedures for location": Student's, with the winsorised variance and the cells that were not
/// left out. It takes the cells as independent.
#[must_use]
pub fn trimmed_mean(sorted: impl IntoIterator<Item = f64>, cells: u64) -> Option<Score> {
    if cells < LEAST_CELLS {
        return None;
    }
    let left_out = cells / 10;
    let kept = cells - 2 * left_out;
    let (mut sum, mut squares, mut ends) = (0.0, 0.0, None);
    let window = sorted.into_iter().skip(usize::try_from(left_out).ok()?);
    for logit in window.take(usize::try_from(kept).ok()?) {
        sum += logit;
        squares += logit * logit;
        ends = Some((ends.map_or(logit, |(first, _)| first), logit));
    }
    let (first, last) = ends?;
    let (n, h, tail) = (real(cells), real(kept), real(left_out));
    let value = sum / h;
    // What is left out counts as the nearest that is not.
    let winsorised = (sum + tail * (first + last)) / n;
    let sum_of_squares = squares + tail * (first * first + last * last);
    let variance = ((sum_of_squares - n * winsorised * winsorised) / (n - 1.0)).max(0.0);
    let half = student(h - 1.0) * variance.sqrt() / ((1.0 - 2.0 * TRIM) * n.sqrt());
    Some(Score { value, lower: value - half, upper: value + half, cells })
}

/// The 97.5 % quantile of Student's t with `freedom` degrees, 7 or more: the expansion 26.7.5 of
/// Abramowitz & Stegun, "Handbook of Mathematical Functions".
fn student(freedom: f64) -> f64 {
    let square = Z * Z;
    let first = Z * (square + 1.0) / 4.0;
    let second = Z * ((5.0 * square + 16.0) * square + 3.0) / 96.0;
    let third = Z * (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0;
    Z + (first + (second + third / freedom) / freedom) / freedom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_that_of_the_tables() {
        // Abramowitz & Stegun, table 26.10.
        for (freedom, table) in [(7.0, 2.365), (10.0, 2.228), (30.0, 2.042), (120.0, 1.980)] {
            assert!((student(freedom) - table).abs() < 2e-3, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn the_mean_and_its_interval_are_those_of_a_calculation_by_hand() {
        // 0 to 9: 0 and 9 are left out. Winsorised: 1, 1, 2, …, 8, 8, squares of deviations 66.5.
        let score = trimmed_mean((0..10).map(f64::from), 10).unwrap();
        assert!((score.value - 4.5).abs() < 1e-12);
        let half = 2.364_6 * (66.5_f64 / 9.0).sqrt() / (0.8 * 10.0_f64.sqrt());
        assert!((score.upper - 4.5 - half).abs() < 2e-3, "{score:?}");
        assert!((score.upper + score.lower - 9.0).abs() < 1e-12);
    }

    #[test]
    fn a_tenth_of_strays_at_an_end_moves_it_by_little() {
        let cells = |stray: f64| (0..90).map(|_| -2.0).chain([stray; 10]);
        let clean = trimmed_mean(cells(-2.0), 100).unwrap();
        assert_eq!(trimmed_mean(cells(13.8), 100).unwrap().value, clean.value);
    }

    #[test]
    fn few_cells_have_no_score_and_certain_ones_a_finite_one() {
        assert_eq!(trimmed_mean([0.0; 9], 9), None);
        let score = trimmed_mean([logit(0.0), logit(1.0)].repeat(10), 20).unwrap();
        assert!(score.value.is_finite() && score.upper.is_finite());
        assert!((logit(0.5)).abs() < 1e-12);
    }
}
