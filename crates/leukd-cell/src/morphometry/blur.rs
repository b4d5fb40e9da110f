//! Gaussian smoothing of a plane, zero beyond its border.

use crate::segment::plane::Plane;

/// Half the width of a kernel, in its standard deviations: 0.3 % of the weight lies beyond.
const REACH: f32 = 3.0;

/// Columns that are summed at once, in registers.
const BLOCK: usize = 16;

/// `plane` smoothed by a Gaussian of this standard deviation, in pixels. Beyond the border lies 0.
pub(super) fn gaussian(plane: &Plane<f32>, deviation: f32) -> Plane<f32> {
    let kernel = kernel(deviation);
    let (width, height, half) = (plane.width, plane.height, kernel.len() / 2);
    let wide = width.next_multiple_of(BLOCK);
    // Zeros all around: no sum asks where the border is.
    let mut above = vec![0.0_f32; wide * (height + 2 * half)];
    let rows = above[wide * half..].chunks_exact_mut(wide);
    for (row, own) in rows.zip(plane.values.chunks_exact(width.max(1))) {
        row[..width].copy_from_slice(own);
    }
    let mut beside = vec![0.0_f32; wide + 2 * half];
    let mut smoothed = Vec::with_capacity(width * height);
    let mut line = vec![0.0_f32; wide];
    for rows in above.windows((2 * half + 1) * wide).step_by(wide) {
        let between = beside[half..half + wide].as_chunks_mut().0.iter_mut();
        for (block, into) in between.enumerate() {
            *into = sum(&kernel, rows.chunks_exact(wide).map(|row| &row.as_chunks().0[block]));
        }
        // What the last block holds beyond the plane's width are sums of zeros.
        for (block, into) in line.as_chunks_mut().0.iter_mut().enumerate() {
            *into = sum(&kernel, beside[block * BLOCK..].array_windows());
        }
        smoothed.extend_from_slice(&line[..width]);
    }
    Plane { width, height, values: smoothed }
}

/// Sum of blocks, each times the kernel's weight for it.
fn sum<'a>(kernel: &[f32], blocks: impl Iterator<Item = &'a [f32; BLOCK]>) -> [f32; BLOCK] {
    let mut sums = [0.0_f32; BLOCK];
    for (weight, block) in kernel.iter().zip(blocks) {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += weight * value);
    }
    sums
}

/// Weights of one side and the other, with the middle; their sum is 1.
fn kernel(deviation: f32) -> Vec<f32> {
    let half = (REACH * deviation).round().max(1.0) as i32;
    let weight = |at: i32| (-0.5 * (at as f32 / deviation).powi(2)).exp();
    let sum: f32 = (-half..=half).map(weight).sum();
    (-half..=half).map(|at| weight(at) / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_the_gaussian_and_keeps_its_sum() {
        let mut point = Plane::filled(41, 33, 0.0);
        point.values[16 * 41 + 20] = 1.0;
        let smoothed = gaussian(&point, 2.0);
        let at = |dx: usize, dy: usize| smoothed.at(20 + dx, 16 + dy);
        assert!((smoothed.values.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!((at(0, 0) - 1.0 / (8.0 * std::f32::consts::PI)).abs() < 1e-4);
        assert!((at(2, 0) / at(0, 0) - (-0.5_f32).exp()).abs() < 1e-3);
        assert!((at(3, 0) - at(0, 3)).abs() < 1e-7);
    }
}
