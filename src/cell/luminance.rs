//! What a cell's luminance is, and where its interior lies: for [`Standardise::Luminance`].
//!
//! [`Standardise::Luminance`]: super::standardise::Standardise::Luminance

use super::quality::is_foreground;

/// Shares of red, green and blue in luminance (ITU-R BT.601).
pub const SHARES: [f64; 3] = [0.299, 0.587, 0.114];

/// Of a cell's pixels at least one in this many must be interior, or the cell is taken whole: a thin one has none.
const LEAST_INTERIOR: usize = 7;

/// Mean and standard deviation (of the population) of the luminance over the cell's interior: its pixels that are more
/// than `rim` pixels, along rows and along columns, away from any that is not the cell's. `samples` are a square's
/// pixels, row by row, red green blue. What lies outside the square counts as cell.
pub(super) fn moments(samples: &[u8], rim: usize) -> (f64, f64) {
    let cell: Vec<bool> = samples.chunks_exact(3).map(is_foreground).collect();
    let inner = interior(&cell, rim);
    let count = |which: &[bool]| which.iter().filter(|inside| **inside).count();
    let which = if count(&inner) * LEAST_INTERIOR < count(&cell) { &cell } else { &inner };
    let values = || {
        let pixels = samples.chunks_exact(3).zip(which).filter(|(_, inside)| **inside);
        pixels.map(|(pixel, _)| {
            SHARES.iter().zip(pixel).map(|(share, level)| share * f64::from(*level)).sum::<f64>()
        })
    };
    let pixels = count(which).max(1) as f64;
    let mean = values().sum::<f64>() / pixels;
    let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / pixels;
    (mean, variance.sqrt())
}

/// Erosion by a square of `2 · rim + 1` pixels, first along rows, then along columns.
fn interior(cell: &[bool], rim: usize) -> Vec<bool> {
    let side = cell.len().isqrt().max(1);
    let rows: Vec<bool> =
        cell.chunks(side).flat_map(|row| eroded(row.iter().copied(), rim)).collect();
    let mut inner = vec![false; cell.len()];
    for column in 0..side {
        let own = rows.iter().skip(column).step_by(side).copied();
        for (row, inside) in eroded(own, rim).into_iter().enumerate() {
            inner[row * side + column] = inside;
        }
    }
    inner
}

/// Whether every place within `rim` of each is set.
fn eroded(line: impl Iterator<Item = bool>, rim: usize) -> Vec<bool> {
    let line: Vec<bool> = line.collect();
    let mut inner = line.clone();
    for (place, _) in line.iter().enumerate().filter(|(_, set)| !**set) {
        let end = (place + rim + 1).min(line.len());
        inner[place.saturating_sub(rim)..end].fill(false);
    }
    inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_interior_where_no_background_is_within_the_rim() {
        // A disc, and the same question asked of every pixel's surroundings.
        let side = 31_usize;
        let cell: Vec<bool> = (0..side * side)
            .map(|at| (at % side).abs_diff(12).pow(2) + (at / side).abs_diff(17).pow(2) < 130)
            .collect();
        for rim in 0..5 {
            let inner = interior(&cell, rim);
            for (at, inside) in inner.iter().enumerate() {
                let near = |other: &usize| {
                    (other % side).abs_diff(at % side) <= rim
                        && (other / side).abs_diff(at / side) <= rim
                };
                let expected = (0..side * side).filter(near).all(|other| cell[other]);
                assert_eq!(*inside, expected, "{at}, rim {rim}");
            }
        }
    }

    #[test]
    fn a_bright_rim_does_not_move_the_mean_and_a_thin_cell_is_taken_whole() {
        let side = 20_usize;
        let level = |at: usize, thick: usize| -> u8 {
            let margin = [at % side, at / side, side - 1 - at % side, side - 1 - at / side];
            match margin.into_iter().min().unwrap_or(0) {
                0 | 1 => 0,
                2 => 250,
                deep if deep < 2 + thick => 80,
                _ => 0,
            }
        };
        let picture =
            |thick| -> Vec<u8> { (0..side * side).flat_map(|at| [level(at, thick); 3]).collect() };
        let (mean, deviation) = moments(&picture(20), 1);
        assert!((mean - 80.0).abs() < 1e-9 && deviation < 1e-9, "{mean} {deviation}");
        let (mean, _) = moments(&picture(1), 1);
        assert!((mean - 250.0).abs() < 1e-9, "{mean}");
    }
}
