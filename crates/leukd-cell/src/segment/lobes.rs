//! Parts of a mask that lie near to each other.

use super::plane::{Plane, index};

/// Two parts and the shortest way between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    /// The squared length of the way.
    pub(super) squared: usize,
    /// Places of the parts, from 0; the lower one first.
    pub(super) one: usize,
    pub(super) two: usize,
    /// Ends of the way: a pixel of each part.
    pub(super) from: usize,
    pub(super) to: usize,
}

/// All pairs of usable parts that lie at most `limit` pixels apart. `labels` numbers them from 1.
///
/// Only pixels on rims are compared, and only with those in neighbouring squares of a grid: the
/// effort grows with the picture, not with the square of the number of parts.
pub(super) fn near_pairs(labels: &Plane<u32>, usable: &[bool], limit: f32) -> Vec<Pair> {
    let grid = Grid::new(labels, usable, index(limit.ceil(), usize::MAX).max(1));
    let most = index(limit * limit, usize::MAX);
    // The nearest pixels of each part that lies after `one`, and which parts those are.
    let mut best: Vec<Option<Pair>> = vec![None; usable.len()];
    let mut touched = Vec::new();
    let mut pairs = Vec::new();
    for (one, rim) in grid.rims.iter().enumerate() {
        for from in rim {
            for near in grid.around(*from) {
                let (two, to) = (near.part as usize, near.pixel as usize);
                if two <= one {
                    continue;
                }
                let squared = squared_distance(*from as usize, to, labels.width);
                if squared > most {
                    continue;
                }
                let pair = Pair { squared, one, two, from: *from as usize, to };
                match &mut best[two] {
                    Some(known) => {
                        let is_nearer =
                            (squared, pair.from, to) < (known.squared, known.from, known.to);
                        if is_nearer {
                            *known = pair;
                        }
                    }
                    unknown => {
                        *unknown = Some(pair);
                        touched.push(two);
                    }
                }
            }
        }
        pairs.extend(touched.drain(..).filter_map(|two| best[two].take()));
    }
    pairs
}

fn squared_distance(from: usize, to: usize, width: usize) -> usize {
    let (x, y) = ((from % width).abs_diff(to % width), (from / width).abs_diff(to / width));
    x * x + y * y
}

/// A pixel on the rim of a part.
#[derive(Debug, Clone, Copy)]
struct RimPixel {
    part: u32,
    pixel: u32,
}

/// Rims of parts, sorted into squares.
struct Grid {
    side: usize,
    width: usize,
    columns: usize,
    rows: usize,
    /// Rim pixels of each part.
    rims: Vec<Vec<u32>>,
    /// Rim pixels by square, and where each square's begin.
    pixels: Vec<RimPixel>,
    starts: Vec<usize>,
}

impl Grid {
    fn new(labels: &Plane<u32>, usable: &[bool], side: usize) -> Self {
        let (columns, rows) = (labels.width.div_ceil(side), labels.height.div_ceil(side));
        let mut grid = Self {
            side,
            width: labels.width,
            columns,
            rows,
            rims: vec![Vec::new(); usable.len()],
            pixels: Vec::new(),
            starts: vec![0; columns * rows + 1],
        };
        let mut found = Vec::new();
        for (at, label) in labels.values.iter().enumerate() {
            let Some(part) = (*label as usize).checked_sub(1).filter(|part| usable[*part]) else {
                continue;
            };
            if labels.neighbours(at).any(|next| labels.values[next] != *label) {
                grid.rims[part].push(at as u32);
                found.push(RimPixel { part: part as u32, pixel: at as u32 });
                let square = grid.square(at);
                grid.starts[square + 1] += 1;
            }
        }
        for square in 0..columns * rows {
            grid.starts[square + 1] += grid.starts[square];
        }
        // A stable sort: within a square the pixels keep their order.
        found.sort_by_key(|own| grid.square(own.pixel as usize));
        grid.pixels = found;
        grid
    }

    fn square(&self, pixel: usize) -> usize {
        pixel / self.width / self.side * self.columns + pixel % self.width / self.side
    }

    /// Rim pixels in the square of `pixel` and in the up to eight around it.
    fn around(&self, pixel: u32) -> impl Iterator<Item = RimPixel> + '_ {
        let own = self.square(pixel as usize);
        let (column, row) = (own % self.columns, own / self.columns);
        let (left, right) = (column.saturating_sub(1), (column + 1).min(self.columns - 1));
        (row.saturating_sub(1)..=(row + 1).min(self.rows - 1)).flat_map(move |row| {
            let line = row * self.columns;
            let (from, to) = (self.starts[line + left], self.starts[line + right + 1]);
            self.pixels[from..to].iter().copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_within_the_limit_by_their_nearest_pixels() {
        let mut labels = Plane::filled(40, 20, 0_u32);
        for (part, x) in [(1, 2), (2, 9), (3, 30)] {
            (0..4).for_each(|at| labels.values[(5 + at) * 40 + x] = part);
        }
        let pairs = near_pairs(&labels, &[true; 3], 7.0);
        let own = Pair { squared: 49, one: 0, two: 1, from: 5 * 40 + 2, to: 5 * 40 + 9 };
        assert_eq!(pairs, [own]);
        assert_eq!(near_pairs(&labels, &[true; 3], 6.9), []);
        assert_eq!(near_pairs(&labels, &[true, false, true], 7.0), []);
        let squared: Vec<_> =
            near_pairs(&labels, &[true; 3], 40.0).iter().map(|pair| pair.squared).collect();
        assert_eq!(squared, [49, 784, 441]);
    }
}
