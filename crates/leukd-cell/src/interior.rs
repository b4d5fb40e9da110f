//! Where a cell's interior lies: what a standardisation counts ([`Targets::rim`]).
//!
//! [`Targets::rim`]: super::standardise::Targets::rim

use crate::foreground::is_foreground;

/// Of a cell's pixels at least one in this many must be interior, or the cell is taken whole: a
/// thin one has none.
const LEAST_INTERIOR: usize = 7;

/// Which pixels are the cell's interior: those that are more than `rim` pixels, along rows and
/// along columns, away from any that is not the cell's; all of the cell where it has hardly any.
/// `samples` are a square's pixels, row by row, red green blue. What lies outside the square counts
/// as cell.
pub(super) fn counted(samples: &[u8], rim: usize) -> Vec<bool> {
    let cell: Vec<bool> = samples.chunks_exact(3).map(is_foreground).collect();
    if rim == 0 {
        return cell;
    }
    let inner = interior(&cell, rim);
    let count = |which: &[bool]| which.iter().filter(|inside| **inside).count();
    if count(&inner) * LEAST_INTERIOR < count(&cell) { cell } else { inner }
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
    fn a_bright_rim_does_not_count_and_a_thin_cell_is_taken_whole() {
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
        let levels = |thick| -> Vec<u8> {
            let picture: Vec<u8> = (0..side * side).flat_map(|at| [level(at, thick); 3]).collect();
            let inside = counted(&picture, 1);
            let counting = picture.chunks_exact(3).zip(inside).filter(|(_, inside)| *inside);
            counting.map(|(pixel, _)| pixel[0]).collect()
        };
        assert!(!levels(20).is_empty() && levels(20).iter().all(|level| *level == 80));
        assert!(!levels(1).is_empty() && levels(1).iter().all(|level| *level == 250));
    }
}
